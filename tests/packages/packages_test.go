package packages

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What both packages have, with mode and owner. What one of them has besides is below.
var content = map[string]string{
	"/etc/factro-bridge/bridge.yaml":                          "-rw-r--r-- root:root",
	"/etc/factro-bridge/secrets":                              "drwx------ root:root",
	"/usr/bin/factro-bridge":                                  "-rwxr-xr-x root:root",
	"/usr/lib/systemd/system/factro-bridge.service":           "-rw-r--r-- root:root",
	"/usr/share/bash-completion/completions/factro-bridge":    "-rw-r--r-- root:root",
	"/usr/share/fish/vendor_completions.d/factro-bridge.fish": "-rw-r--r-- root:root",
	"deb /usr/share/zsh/vendor-completions/_factro-bridge":    "-rw-r--r-- root:root",
	"deb /usr/share/doc/factro-bridge/copyright":              "-rw-r--r-- root:root",
	"rpm /usr/share/zsh/site-functions/_factro-bridge":        "-rw-r--r-- root:root",
	"rpm /usr/share/licenses/factro-bridge/LICENSE":           "-rw-r--r-- root:root",
}

// compare has the files of a package against what it is to have.
func compare(t *testing.T, kind string, got map[string]string) {
	t.Helper()
	want := map[string]string{}
	for file, text := range content {
		if of, name, only := strings.Cut(file, " "); only {
			if of == kind {
				want[name] = text
			}
			continue
		}
		want[file] = text
	}
	for file, text := range want {
		if got[file] != text {
			t.Errorf("%s is %q, want %q", file, got[file], text)
		}
	}
	for file := range got {
		if _, known := want[file]; !known {
			t.Errorf("%s does not belong there", file)
		}
	}
}

// TestReproducible: the same commit gives the same bytes, whatever the umask, the zone and the time are.
func TestReproducible(t *testing.T) {
	t.Parallel()
	needed(t)
	deb2, rpm2, err := build(t.TempDir(), "MASK=077", "TZ=Asia/Tokyo", "LC_ALL=C")
	must(t, err)
	for a, b := range map[string]string{deb: deb2, rpm: rpm2} {
		if filepath.Base(a) != filepath.Base(b) || read(t, a) != read(t, b) {
			t.Errorf("%s and %s differ", a, b)
		}
	}
}

func TestDeb(t *testing.T) {
	t.Parallel()
	needed(t)
	files := map[string]string{}
	for line := range strings.Lines(command(t, "dpkg-deb", "--contents", deb)) {
		f := strings.Fields(line)
		name := strings.TrimSuffix(strings.TrimPrefix(f[5], "."), "/")
		if f[0] == "drwxr-xr-x" && f[1] == "root/root" {
			continue // what a system has anyhow
		}
		files[name] = f[0] + " " + strings.Replace(f[1], "/", ":", 1)
	}
	compare(t, "deb", files)
	if got := strings.TrimSpace(command(t, "dpkg-deb", "--info", deb, "conffiles")); got != "/etc/factro-bridge/bridge.yaml" {
		t.Errorf("configuration files: %q", got)
	}
	scripts := t.TempDir()
	command(t, "dpkg-deb", "--control", deb, scripts)
	for _, name := range []string{"postinst", "prerm", "postrm"} {
		command(t, "sh", "-n", filepath.Join(scripts, name))
	}
}

func TestRPM(t *testing.T) {
	t.Parallel()
	needed(t)
	if got := command(t, "rpm", "--checksig", "--nosignature", rpm); !strings.Contains(got, "digests OK") {
		t.Error(got)
	}
	files := map[string]string{}
	for line := range strings.Lines(command(t, "rpm", "--query", "--package", "--queryformat",
		"[%{FILENAMES} %{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILEFLAGS:fflags}.\n]", rpm)) {
		f := strings.Fields(line)
		files[f[0]] = f[1] + " " + f[2]
		if isConfig := f[3] == "cn."; isConfig != (f[0] == "/etc/factro-bridge/bridge.yaml") {
			t.Errorf("%s has the flags %s", f[0], f[3])
		}
	}
	compare(t, "rpm", files)
	if text := command(t, "rpm", "--query", "--package", "--scripts", rpm); strings.Count(text, "systemctl daemon-reload") != 2 ||
		!strings.Contains(text, "disable --now") {
		t.Errorf("the scripts are\n%s", text)
	}
	if os.Geteuid() != 0 {
		t.Log("not installed: rpm installs as root only")
		return
	}
	root := t.TempDir()
	command(t, "rpm", "--root", root, "--initdb")
	command(t, "rpm", "--root", root, "--nodeps", "--noscripts", "--install", rpm)
	runs(t, root, rpm)
	conf := filepath.Join(root, "etc/factro-bridge/bridge.yaml")
	write(t, conf, read(t, conf)+"# edited\n")
	command(t, "rpm", "--root", root, "--nodeps", "--noscripts", "--erase", "factro-bridge")
	if !exists(conf+".rpmsave") || exists(filepath.Join(root, "usr/bin/factro-bridge")) {
		t.Error("after the removal the edited configuration is gone, or the program is not")
	}
}

// dpkg has the .debs of a folder that stands for a system. Its scripts run outside of it, and know it as $DPKG_ROOT.
func dpkg(t *testing.T, root string, args ...string) {
	t.Helper()
	command(t, "dpkg", append([]string{
		"--root=" + root, "--force-script-chrootless", "--force-not-root", "--force-depends", "--force-confdef", "--log=" + root + ".log",
	}, args...)...)
}

func debRoot(t *testing.T) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root")
	write(t, root+"/var/lib/dpkg/status", "")
	must(t, os.MkdirAll(root+"/var/lib/dpkg/info", 0o755))
	must(t, os.MkdirAll(root+"/var/lib/dpkg/updates", 0o755))
	return root
}

// runs has the installed program say its version, which is the package's, and check the installed configuration.
func runs(t *testing.T, root, file string) {
	t.Helper()
	program := filepath.Join(root, "usr/bin/factro-bridge")
	said := strings.Fields(command(t, program, "--version"))
	version := regexp.MustCompile(`[0-9a-f]{12}|\d+\.\d+\.\d+`).FindString(strings.TrimPrefix(said[1], "v0.0.0-"))
	if said[0] != "bridge" || version == "" || !strings.Contains(filepath.Base(file), version) {
		t.Errorf("%s holds a program that says %q", filepath.Base(file), said)
	}
	if n := strings.Count(read(t, filepath.Join(root, "etc/factro-bridge/bridge.yaml")), "      # systemd copies it from /etc/factro-bridge/secrets/ "); n != 2 {
		t.Errorf("the installed configuration says %d times where a secret comes from, want 2", n)
	}
	text := command(t, program, "config", "check", filepath.Join(root, "etc/factro-bridge/bridge.yaml"))
	for _, want := range []string{
		"open /run/credentials/factro-bridge.service/secret_acme-webhook: no such file or directory; systemd puts it there",
		"open /run/credentials/factro-bridge.service/secret_acme-api-key: no such file or directory; systemd puts it there",
		"configuration is valid: ", "MiB in /var/lib/factro-bridge/spool,",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the check of the installed configuration lacks %q:\n%s", want, text)
		}
	}
}

// next is a newer package whose sample is another one.
func next(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	command(t, "dpkg-deb", "--raw-extract", deb, dir+"/x")
	write(t, dir+"/x/etc/factro-bridge/bridge.yaml", read(t, dir+"/x/etc/factro-bridge/bridge.yaml")+"# new in this version\n")
	control := read(t, dir+"/x/DEBIAN/control")
	write(t, dir+"/x/DEBIAN/control", regexp.MustCompile(`(?m)^Version: .*$`).ReplaceAllString(control, "Version: 99.0.0"))
	must(t, os.Remove(dir+"/x/DEBIAN/md5sums"))
	command(t, "dpkg-deb", "--root-owner-group", "--build", "-Znone", dir+"/x", dir+"/next.deb")
	return dir + "/next.deb"
}

func TestInstall(t *testing.T) {
	t.Parallel()
	needed(t)
	root := debRoot(t)
	dpkg(t, root, "--install", deb)
	runs(t, root, deb)
	if info, err := os.Stat(root + "/etc/factro-bridge/secrets"); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder of secrets: %v, %v", info, err)
	}
	if info, err := os.Stat(root + "/etc/factro-bridge/bridge.yaml"); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("the configuration: %v, %v", info, err)
	}
	dpkg(t, root, "--audit")
}

// TestUpgrade: who has changed nothing gets the new sample, and who has keeps what is there, with the new one beside it.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	needed(t)
	newer := next(t)
	for _, edited := range []bool{false, true} {
		root := debRoot(t)
		conf := root + "/etc/factro-bridge/bridge.yaml"
		dpkg(t, root, "--install", deb)
		secret := root + "/etc/factro-bridge/secrets/acme-webhook"
		write(t, secret, "geheim")
		if edited {
			write(t, conf, read(t, conf)+"# edited\n")
		}
		dpkg(t, root, "--install", newer)
		text := read(t, conf)
		if strings.Contains(text, "# edited") != edited || strings.Contains(text, "# new in this version") == edited || exists(conf+".dpkg-dist") != edited {
			t.Errorf("edited: %t; after the upgrade it ends with %q", edited, text[len(text)-60:])
		}
		if read(t, secret) != "geheim" {
			t.Error("the secret is another one")
		}
	}
}

// TestRemove: a removal keeps what is the user's, and a purge leaves nothing at all.
func TestRemove(t *testing.T) {
	t.Parallel()
	needed(t)
	root := debRoot(t)
	dpkg(t, root, "--install", deb)
	kept := []string{"/etc/factro-bridge/secrets/acme-webhook", "/etc/factro-bridge/environment", "/var/lib/private/factro-bridge/spool/1"}
	for _, file := range kept {
		write(t, root+file, "mine")
	}
	must(t, os.Symlink("private/factro-bridge", root+"/var/lib/factro-bridge"))
	dpkg(t, root, "--remove", "factro-bridge")
	for _, file := range append(kept, "/etc/factro-bridge/bridge.yaml") {
		if !exists(root + file) {
			t.Errorf("the removal took %s", file)
		}
	}
	dpkg(t, root, "--purge", "factro-bridge")
	must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if rel := strings.TrimPrefix(path, root); !d.IsDir() && !strings.HasPrefix(rel, "/var/lib/dpkg/") || strings.Contains(rel, "factro-bridge") {
			t.Errorf("the purge left %s", rel)
		}
		return err
	}))
}

// TestCompletion: the shells complete the name that the package installs.
func TestCompletion(t *testing.T) {
	t.Parallel()
	needed(t)
	root := debRoot(t)
	dpkg(t, root, "--install", deb)
	bash := root + "/usr/share/bash-completion/completions/factro-bridge"
	if got := command(t, "bash", "-c", fmt.Sprintf("source %q && complete -p factro-bridge", bash)); !strings.Contains(got, "__start_factro-bridge") {
		t.Errorf("bash completes with %q", got)
	}
	for file, want := range map[string]string{
		"zsh/vendor-completions/_factro-bridge":        "#compdef factro-bridge\n",
		"fish/vendor_completions.d/factro-bridge.fish": "complete -c factro-bridge ",
	} {
		if !strings.Contains(read(t, root+"/usr/share/"+file), want) {
			t.Errorf("%s lacks %q", file, want)
		}
	}
}

// TestUnit: systemd has nothing to say about the unit, and its exposure stays low.
func TestUnit(t *testing.T) {
	t.Parallel()
	needed(t)
	root := debRoot(t)
	dpkg(t, root, "--install", deb)
	// Where the program is on this system, which is not the one that it is installed in.
	text := read(t, root+"/usr/lib/systemd/system/factro-bridge.service")
	unit := filepath.Join(t.TempDir(), "factro-bridge.service")
	write(t, unit, strings.ReplaceAll(text, "=/usr/bin/", "="+root+"/usr/bin/"))
	must(t, os.Chmod(unit, 0o644))
	if got := command(t, "systemd-analyze", "verify", "--man=no", unit); strings.Contains(got, "factro-bridge") {
		t.Error(got)
	}
	command(t, "systemd-analyze", "security", "--offline=yes", "--threshold=15", "--no-pager", unit)
}
