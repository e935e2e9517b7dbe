package filename

import (
	"mime"
	"testing"
)

// TestDisposition: a name that is not ASCII is readable for every server.
func TestDisposition(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"plan.pdf":          `form-data; name="file"; filename="plan.pdf"`,
		"Übersicht ß.pdf":   `form-data; name="file"; filename="Ubersicht ss.pdf"; filename*=UTF-8''%C3%9Cbersicht%20%C3%9F.pdf`,
		"U\u0308bersicht":   `form-data; name="file"; filename="Ubersicht"; filename*=UTF-8''%C3%9Cbersicht`,
		"計画.pdf":            `form-data; name="file"; filename="__.pdf"; filename*=UTF-8''%E8%A8%88%E7%94%BB.pdf`,
		"½ Preis–5 €.pdf":   `form-data; name="file"; filename="1_2 Preis-5 _.pdf"; filename*=UTF-8''%C2%BD%20Preis%E2%80%935%20%E2%82%AC.pdf`,
		"a%0D%0A'(1)*.pdf":  `form-data; name="file"; filename="a%0D%0A'(1)*.pdf"`,
		"a；b\u2215c\uff3cd": `form-data; name="file"; filename="a;b_c_d"; filename*=UTF-8''a%EF%BC%9Bb%E2%88%95c%EF%BC%BCd`,
	} {
		if got := Disposition(name); got != want {
			t.Errorf("%q:\ngot  %s\nwant %s", name, got, want)
		}
	}
	for _, name := range []string{`der "Plan".pdf`, `"; name="other`, "Ä; filename=x", "ä'b''c", "%C3%9C", "Übersicht\u0301"} {
		_, params, err := mime.ParseMediaType(Disposition(name))
		if err != nil || params["name"] != "file" || params["filename"] != name || len(params) != 2 {
			t.Errorf("%q is read as %q, %v", name, params, err)
		}
	}
}
