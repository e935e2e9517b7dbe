package suggest

import "testing"

func TestDidYouMean(t *testing.T) {
	t.Parallel()
	names := []string{"send", "sim", "streams", "createTask", "--config", "Prüfung"}
	for given, want := range map[string]string{
		"sned": "send", "SEND": "send", "strem": "streams", "createTsk": "createTask", "--confg": "--config", "Prufung": "Prüfung",
		"x": "", "query": "", "si": "sim", "s": "", "": "",
	} {
		if want != "" {
			want = " (did you mean " + want + "?)"
		}
		if got := DidYouMean(given, names); got != want {
			t.Errorf("%q: got %q, want %q", given, got, want)
		}
	}
}
