// Package webpage writes the pages that people look at in a browser: plain HTML without scripts and without anything from
// elsewhere.
package webpage

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"
)

const style = `
body { font: 1rem/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.2rem; margin-top: 2rem }
a { color: #0b57a4 } a:focus-visible { outline: 3px solid #0b57a4; outline-offset: 2px }
table { border-collapse: collapse; width: 100% }
caption { text-align: left; font-weight: bold; padding: .3rem 0 }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #767676; overflow-wrap: anywhere }
pre { overflow-x: auto; font-size: .9rem }
@media (prefers-color-scheme: dark) {
body { color: #eee; background: #1a1a1a } a { color: #8ab8ee } a:focus-visible { outline-color: #8ab8ee } }
`

const layout = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{template "title" .}}</title>
<style>` + style + `</style>
</head>
<body>
<main>
<h1>{{template "title" .}}</h1>
{{template "body" .}}</main>
</body>
</html>
`

// policy lets a browser load nothing and run nothing: our one style sheet is known by its hash.
var policy = func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

// New makes a page of a title and what is below it, both in the language of html/template, which escapes what is filled in.
func New(title, body string) *template.Template {
	t := template.Must(template.New("page").Parse(layout))
	template.Must(t.New("title").Parse(title))
	template.Must(t.New("body").Parse(body))
	return t
}

// Wanted says whether who asks is a browser. Programs that do not say what they take, such as curl, get plain text or JSON.
func Wanted(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

// Write answers with a page.
func Write(w http.ResponseWriter, status int, t *template.Template, data any) {
	var page bytes.Buffer
	if err := t.Execute(&page, data); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	Guard(h)
	h.Set("Content-Security-Policy", policy)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Accept")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes()) // who asked may be gone
}

// Guard has a browser take an answer for what its content type says, and load and run nothing because of it.
func Guard(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
}
