package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/sim/setting"
	"github.com/factro-bridge/factro-bridge/internal/sim/tenant"
	"github.com/factro-bridge/factro-bridge/internal/webpage"
)

// maxControlBody limits a body of the control API.
const maxControlBody = 1 << 20

// control is the simulator's own API for tests and operators. factro has nothing like it.
func (s *Sim) control() http.Handler {
	mux := http.NewServeMux()
	for _, route := range s.controlRoutes() {
		mux.HandleFunc(route.pattern, func(w http.ResponseWriter, r *http.Request) {
			answer, err := route.run(r)
			if page, hasPage := answer.(pageAnswer); hasPage {
				w.Header().Set("Vary", "Accept")
				if webpage.Wanted(r) {
					page.page(w)
					return
				}
				answer = page.plain
			}
			switch text, isText := answer.(string); {
			case err != nil:
				writeJSON(w, http.StatusBadRequest, map[string]any{"message": err.Error()})
			case isText:
				writeText(w, http.StatusOK, text)
			default:
				writeJSON(w, http.StatusOK, answer)
			}
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		webpage.Guard(w.Header())
		mux.ServeHTTP(w, r)
	})
}

type controlRoute struct {
	pattern, doc string
	run          func(*http.Request) (any, error)
}

func (s *Sim) controlRoutes() []controlRoute {
	read := func(get func() any) func(*http.Request) (any, error) {
		return func(*http.Request) (any, error) { return get(), nil }
	}
	return []controlRoute{
		{"GET " + controlPath + "/{$}", "this help; in a browser also the objects and the latest requests", s.showFront},
		{"GET " + controlPath + "/webhooks", "the registered webhooks, without their secrets", read(s.showWebhooks)},
		{"POST " + controlPath + "/webhooks", `register {"url","action","header","value"}; action "*" is every action`, s.postWebhook},
		{"DELETE " + controlPath + "/webhooks", "remove all webhooks", read(func() any { s.courier.Unregister(); return s.showWebhooks() })},
		{"GET " + controlPath + "/faults", "the active faults, with their remaining counts", read(func() any { return s.activeFaults() })},
		{"PUT " + controlPath + "/faults", "replace the faults with a list", s.putFaults},
		{"GET " + controlPath + "/variants", "the current variants", read(func() any { v, _ := s.currentSettings(); return v })},
		{"PUT " + controlPath + "/variants", "change the given variants", s.putVariants},
		{"GET " + controlPath + "/delivery", "how webhooks are delivered", read(func() any { _, d := s.currentSettings(); return d })},
		{"PUT " + controlPath + "/delivery", "change the given delivery settings", s.putDelivery},
		{"PUT " + controlPath + "/key", `accept {"key"} from now on; an empty one expires the key`, s.putKey},
		{"GET " + controlPath + "/requests", "the last requests to the Core API", read(func() any { return s.Requests() })},
		{"GET " + controlPath + "/windows", "what was counted in each window of the request budget", read(func() any { return s.Windows() })},
		{"GET " + controlPath + "/deliveries", "the last attempts to deliver webhooks", read(func() any { return s.Deliveries() })},
		{"GET " + controlPath + "/state", "how many objects of each kind there are", read(s.showState)},
		{"GET " + controlPath + "/objects/{kind}", "all objects of a kind", s.getObjects},
		{"GET " + controlPath + "/objects/{kind}/{id}", "one object", s.getObject},
		{"POST " + controlPath + "/fire", `send an event {"action","entityId"} as if something had changed`, s.postFire},
		{"GET " + controlPath + "/demo", "ids of the demo tenant", read(func() any { return s.Demo() })},
		{"POST " + controlPath + "/reset", "reset everything: demo tenant, settings, webhooks, empty logs", read(func() any { s.Reset(); return s.Demo() })},
	}
}

func (s *Sim) help() string {
	var b strings.Builder
	b.WriteString("factro simulator. The Core API is at " + corePath + ", this control API at " + controlPath + ".\n\n")
	for _, r := range s.controlRoutes() {
		fmt.Fprintf(&b, "  %-30s %s\n", strings.TrimSuffix(r.pattern, "{$}"), r.doc)
	}
	b.WriteString("\nFaults, here as JSON such as [{\"kind\":\"cut-after\",\"op\":\"createTask\",\"count\":3}], on the command line as cut-after,op=createTask,count=3:\n")
	for _, k := range faultKinds {
		fmt.Fprintf(&b, "  %-16s %s\n", k.kind, k.doc)
	}
	b.WriteString("with:\n" + setting.Help((&Fault{}).settings()))
	b.WriteString("\nVariants, for behavior of factro that is not known:\n" + setting.Help((&Variants{}).Settings()))
	b.WriteString("\nDelivery of webhooks:\n" + setting.Help((&Delivery{}).Settings()))
	b.WriteString("\nActions that changes fire. INVENTED names are the simulator's, not factro's:\n")
	for _, a := range tenant.Actions() {
		mark := ""
		if a.Invented {
			mark = "INVENTED"
		}
		fmt.Fprintf(&b, "  %-24s %-9s %s\n", a.Name, mark, a.When)
	}
	return b.String()
}

func (s *Sim) currentSettings() (Variants, Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.variants, s.delivery
}

func (s *Sim) showWebhooks() any {
	out := []any{}
	for _, h := range s.courier.Registered() {
		out = append(out, map[string]any{
			"id": h.ID, "url": h.URL, "action": h.Action, "header": h.Header, "invented": tenant.Invented(h.Action),
		})
	}
	return out
}

func (s *Sim) postWebhook(r *http.Request) (any, error) {
	var h Webhook
	if err := readControl(r, &h); err != nil {
		return nil, err
	}
	if err := s.Register(h); err != nil {
		return nil, err
	}
	return s.showWebhooks(), nil
}

func (s *Sim) putFaults(r *http.Request) (any, error) {
	fs := Faults{}
	if err := readControl(r, &fs); err != nil {
		return nil, err
	}
	return fs, s.SetFaults(fs)
}

func (s *Sim) putVariants(r *http.Request) (any, error) {
	v, _ := s.currentSettings()
	if err := readControl(r, &v); err != nil {
		return nil, err
	}
	return v, s.SetVariants(v)
}

func (s *Sim) putDelivery(r *http.Request) (any, error) {
	_, d := s.currentSettings()
	if err := readControl(r, &d); err != nil {
		return nil, err
	}
	return d, s.SetDelivery(d)
}

func (s *Sim) putKey(r *http.Request) (any, error) {
	var body struct {
		Key *string `json:"key"`
	}
	if err := readControl(r, &body); err != nil {
		return nil, err
	}
	if body.Key == nil {
		return nil, errors.New("key is missing")
	}
	s.SetKey(*body.Key)
	return map[string]any{}, nil
}

func (s *Sim) postFire(r *http.Request) (any, error) {
	var body struct {
		Action   string `json:"action"`
		EntityID string `json:"entityId"`
	}
	if err := readControl(r, &body); err != nil {
		return nil, err
	}
	if body.Action == "" || body.EntityID == "" {
		return nil, errors.New("action and entityId are needed")
	}
	s.Fire(body.Action, body.EntityID)
	return map[string]any{"invented": tenant.Invented(body.Action)}, nil
}

func (s *Sim) showState() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]int{}
	for _, kind := range tenant.Kinds() {
		out[kind] = s.tenant.Count(kind)
	}
	return out
}

// readControl decodes a body strictly: a misspelled key is an error that names the key.
func readControl(r *http.Request, into any) error {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxControlBody))
	if err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("body: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("body has data after its JSON")
	}
	return nil
}
