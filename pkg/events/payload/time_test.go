package payload_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
)

func TestTime(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`"2026-09-01T00:00:00.000Z"`:          `"2026-09-01T00:00:00.000Z"`,
		`"2026-09-01T00:00:00Z"`:              `"2026-09-01T00:00:00.000Z"`,
		`"2026-09-01T02:30:00.123999+02:00"`:  `"2026-09-01T00:30:00.123Z"`,
		`"2026-09-01T00:00:00.999999999Z"`:    `"2026-09-01T00:00:00.999Z"`,
		`"0001-01-01T00:00:01Z"`:              `"0001-01-01T00:00:01.000Z"`,
		`"2026-09-01"`:                        "",
		`"2026-09-01T00:00:00"`:               "",
		`1756684800000`:                       "",
		`"2026-09-01T1:00:00Z"`:               "",
		`"2026-09-01T00:00:00,5Z"`:            "",
		`"größe und noch viel mehr als das."`: "",
	} {
		var got payload.Time
		err := json.Unmarshal([]byte(in), &got)
		if (err != nil) != (want == "") {
			t.Errorf("%s: got %v, %v", in, got, err)
			continue
		}
		if out, err := json.Marshal(got); want != "" && (err != nil || string(out) != want) {
			t.Errorf("%s: got %s, %v; want %s", in, out, err, want)
		}
	}
	var unset payload.Time
	if err := json.Unmarshal([]byte("null"), &unset); err != nil || !unset.IsZero() {
		t.Errorf("of null: got %v, %v", unset, err)
	}
	for _, v := range []any{unset, payload.Set(unset), payload.NewAppointment{EmployeeID: "8d3f"}} {
		if out, err := json.Marshal(v); !contains(err, "the time is not set; use At or Day") {
			t.Errorf("got %s, %v", out, err)
		}
	}
	if out, err := json.Marshal(payload.At(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC))); !contains(err, "in the year 10000") {
		t.Errorf("got %s, %v", out, err)
	}
}

// TestDay: of a German day, both forms that factro stores are the same day.
func TestDay(t *testing.T) {
	t.Parallel()
	for want, day := range map[string]payload.Time{
		"2026-08-31T22:00:00.000Z": payload.Day(2026, time.September, 1),
		"2026-12-31T23:00:00.000Z": payload.Day(2027, time.January, 1),
		"2026-03-28T23:00:00.000Z": payload.Day(2026, time.March, 29),   // begins in winter, ends in summer
		"2026-10-24T22:00:00.000Z": payload.Day(2026, time.October, 25), // the other way round
		"2026-02-28T23:00:00.000Z": payload.Day(2026, time.February, 29),
	} {
		if got := day.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for _, at := range []string{"2026-08-31T22:00:00Z", "2026-09-01T00:00:00Z"} {
		var day payload.Time
		if err := json.Unmarshal([]byte(`"`+at+`"`), &day); err != nil {
			t.Fatal(err)
		}
		if y, m, d := day.CalendarDay(); y != 2026 || m != time.September || d != 1 {
			t.Errorf("%s: got %d %s %d", at, y, m, d)
		}
	}
}

// TestDayWithoutDatabase holds the rule against the database, for each day since it was made.
func TestDayWithoutDatabase(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatalf("this machine cannot show it: %v", err)
	}
	for year := 1996; year < 2038; year++ {
		for day := 1; day <= 366; day++ {
			want := time.Date(year, 1, day, 0, 0, 0, 0, berlin)
			if got := time.Date(year, 1, day, 0, 0, 0, 0, payload.Ruled(year, 1, day)); !got.Equal(want) {
				t.Fatalf("day %d of %d: got %v, want %v", day, year, got.UTC(), want.UTC())
			}
		}
	}
}
