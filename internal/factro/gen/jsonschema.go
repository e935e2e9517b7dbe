package main

import (
	"encoding/json"
	"strings"
)

// schemas renders the component schemas as one JSON document whose references stay inside it.
func (d *document) schemas() ([]byte, error) {
	out, err := json.MarshalIndent(rewrite(map[string]any{"$defs": d.Components.Schemas}), "", " ")
	return append(out, '\n'), err
}

// rewrite points references at #/$defs and drops what is no part of JSON Schema.
func rewrite(v any) any {
	switch v := v.(type) {
	case map[string]map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[k] = rewrite(e)
		}
		return m
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			if strings.HasPrefix(k, "x-") {
				continue
			}
			if ref, ok := e.(string); ok && k == "$ref" {
				m[k] = "#/$defs/" + strings.TrimPrefix(ref, refPrefix)
				continue
			}
			m[k] = rewrite(e)
		}
		return m
	case []any:
		l := make([]any, len(v))
		for i, e := range v {
			l[i] = rewrite(e)
		}
		return l
	default:
		return v
	}
}
