package config

import (
	"strings"
	"testing"
)

// TestRolesNeedTheirSettings: a process is asked only for what its roles need.
func TestRolesNeedTheirSettings(t *testing.T) {
	t.Parallel()
	const webhook, api = "webhook: {header: X-Bridge-Key, secrets: [{value: a-long-secret}]}", "api: {key: {value: an-api-key}}"
	for roles, needs := range map[string]string{"ingress": webhook, "egress": api, "query": api, "query, egress": api, "reconcile": api, "mirror": api} {
		for _, has := range []string{webhook, api} {
			text := "roles: [" + roles + "]\nclouds: [{name: acme, " + has + "}]\n"
			_, err := Default().load("f", []byte(text), nil)
			if has == needs && err != nil || has != needs && err == nil {
				t.Errorf("with %s alone, roles %s: %v", has, roles, err)
			}
			if err != nil && !strings.Contains(err.Error(), "clouds[0].") {
				t.Errorf("roles %s: the error does not tell where: %v", roles, err)
			}
		}
	}
}
