package doctor

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/lastgood"
	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// named is a secret of the configuration.
type named struct {
	cloud, setting string
	source         secret.Source
}

// secrets are those that the roles use.
func secrets(c config.Config) (all []named) {
	for i, cloud := range c.Clouds {
		if c.Calls() {
			all = append(all, named{cloud.Name, fmt.Sprintf("clouds[%d].api.key", i), cloud.API.Key})
		}
		for n, from := range cloud.Webhook.Secrets {
			if c.Has(config.RoleIngress) {
				all = append(all, named{cloud.Name, fmt.Sprintf("clouds[%d].webhook.secrets[%d]", i, n), from})
			}
		}
	}
	for setting, file := range map[string]string{"nats.user_file": c.NATS.UserFile, "nats.password_file": c.NATS.PasswordFile} {
		if file != "" {
			all = append(all, named{"", setting, secret.Source{File: file}})
		}
	}
	return all
}

// byteOrderMark begins the files of some editors.
var byteOrderMark = []byte("\ufeff")

func checkSecrets(_ context.Context, s *session) (found []Finding) {
	for _, of := range secrets(s.Checked.Config) {
		add := func(level Level, what, fix string) {
			found = append(found, Finding{Level: level, Cloud: of.cloud, About: of.setting, What: what, Fix: fix})
		}
		_, err := secret.NewReader(of.source, nil, "").Get()
		file := of.source.File
		switch {
		case errors.Is(err, fs.ErrPermission):
			add(Unknown, "this user may not read "+file, "sudo -u factro-bridge cat "+file+" | wc -c")
			continue
		case errors.Is(err, lastgood.ErrUTF16):
			add(Problem, err.Error(), fmt.Sprintf("iconv -f UTF-16 -t ASCII %s > %s.new && mv %s.new %s", file, file, file, file))
			continue
		case err != nil:
			add(Problem, err.Error(), rewrite(file))
			continue
		}
		if file == "" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it was there a moment ago, and the bridge reads it again
		}
		rest, marked := bytes.CutPrefix(text, byteOrderMark)
		if marked {
			add(Note, file+" begins with a byte order mark; the bridge takes it off", `sed -i '1s/^\xEF\xBB\xBF//' `+file)
		}
		if end := bytes.TrimSuffix(bytes.TrimSuffix(rest, []byte("\n")), []byte("\r")); len(bytes.TrimSpace(end)) != len(end) {
			add(Note, file+" has blanks or empty lines around the secret; the bridge takes them off", rewrite(file))
		}
	}
	return found
}

// rewrite is a line that writes a secret into a file.
func rewrite(file string) string {
	if file == "" {
		return "bridge config sample"
	}
	return "read -rs secret && printf %s \"$secret\" > " + file
}

func checkModes(_ context.Context, s *session) (found []Finding) {
	for _, text := range s.Checked.Loose() {
		about, what, _ := strings.Cut(text, ": ")
		file, _, _ := strings.Cut(what, " has the mode")
		found = append(found, Finding{Level: Warning, About: about, What: what, Fix: "chmod 0600 " + file})
	}
	return found
}

// expiry is when a token expires that has the form of a JWT, and zero if it has another one or does not say.
func expiry(token string) time.Time {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Exp int64 `json:"exp"`
	}
	if err != nil || json.Unmarshal(payload, &claims) != nil || claims.Exp <= 0 {
		return time.Time{}
	}
	return time.Unix(claims.Exp, 0)
}
