package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// measured asks Prometheus for what was driven through the bridge, for its rules, and for all that the dashboards ask.
func measured(ctx context.Context, dashboards string) error {
	for _, query := range []string{"sum(rate(factro_bridge_webhooks_total[1m])) > 0", "sum(rate(factro_bridge_commands_total[1m])) > 0"} {
		var failed error
		err := until(ctx, query, 2*time.Second, func() bool { // a rate needs a change between two scrapes
			if n, err := series(ctx, query); err == nil && n > 0 {
				return true
			}
			_, failed = roundTrip(ctx, false)
			return failed != nil
		})
		if err = errors.Join(err, failed); err != nil {
			return err
		}
		fmt.Println("metric:", query)
	}
	if err := rules(ctx); err != nil {
		return err
	}
	if status, body, err := get(ctx, grafana+"/api/search?type=dash-db"); err == nil && status == http.StatusOK {
		fmt.Printf("Grafana has the dashboards %s\n", body)
	} else {
		fmt.Println("Grafana does not answer: its panels were not seen, only their queries are asked")
	}
	if dashboards == "" {
		return nil
	}
	return panels(ctx, dashboards)
}

// series is how many series a query has now.
func series(ctx context.Context, query string) (int, error) {
	_, body, err := get(ctx, prometheus+"/api/v1/query?query="+url.QueryEscape(query))
	if err != nil {
		return 0, err
	}
	var answer struct {
		Status, Error string
		Data          struct{ Result []any }
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, fmt.Errorf("prometheus: %w", err)
	}
	if answer.Status != "success" {
		return 0, fmt.Errorf("prometheus: %s: %s", query, answer.Error)
	}
	return len(answer.Data.Result), nil
}

// rules waits until every rule was evaluated, and without an error.
func rules(ctx context.Context) error {
	count, bad := 0, ""
	err := until(ctx, "all rules are evaluated", time.Second, func() bool {
		_, body, err := get(ctx, prometheus+"/api/v1/rules")
		var answer struct {
			Data struct {
				Groups []struct {
					Rules []struct{ Name, Health, LastError string }
				}
			}
		}
		if err != nil || json.Unmarshal(body, &answer) != nil {
			return false
		}
		count, bad = 0, ""
		for _, group := range answer.Data.Groups {
			for _, rule := range group.Rules {
				count++
				if rule.Health != "ok" {
					bad = rule.Name + " " + rule.Health + " " + rule.LastError
				}
			}
		}
		return count > 0 && bad == ""
	})
	if err != nil {
		return fmt.Errorf("%w: %d rules, %s", err, count, bad)
	}
	fmt.Println("rules evaluated without an error:", count)
	return nil
}

// panel is what is read of a panel; rows hold panels.
type panel struct {
	Title   string
	Targets []struct{ Expr string }
	Panels  []panel
}

// panels asks each panel's queries. A query that Prometheus refuses is an error; one without data is listed, since not
// everything that can happen has happened.
func panels(ctx context.Context, folder string) error {
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return err
	}
	asked, empty := 0, 0
	var ask func(file string, all []panel) error
	ask = func(file string, all []panel) error {
		for _, p := range all {
			for _, t := range p.Targets {
				if t.Expr == "" {
					continue
				}
				asked++
				n, err := series(ctx, filled(t.Expr))
				if err != nil {
					return fmt.Errorf("%s: %q: %w", file, p.Title, err)
				}
				if n == 0 {
					empty++
					fmt.Printf("no data: %s: %q: %s\n", file, p.Title, t.Expr)
				}
			}
			if err := ask(file, p.Panels); err != nil {
				return err
			}
		}
		return nil
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var d struct{ Panels []panel }
		if err := json.Unmarshal(text, &d); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if err := ask(filepath.Base(file), d.Panels); err != nil {
			return err
		}
	}
	fmt.Printf("dashboards: %d files, %d queries, %d without data\n", len(files), asked, empty)
	return nil
}

var variable = regexp.MustCompile(`\$\{?[A-Za-z_]+(:[a-z]+)?\}?`)

// filled puts into a query what Grafana would put into it: intervals, and for the other variables everything.
func filled(expr string) string {
	return variable.ReplaceAllStringFunc(expr, func(v string) string {
		if strings.Contains(v, "__") {
			return "1m"
		}
		return ".*"
	})
}
