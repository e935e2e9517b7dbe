package telemetry

import (
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
)

// Collector is where a signal is sent by OTLP.
type Collector struct {
	// Signal is traces or metrics, Variable the one of the environment that names the address, or "" for the standard's default.
	Signal, Variable string
	// Address is a host and a port. Secure says that TLS is spoken there.
	Address string
	Secure  bool
	// Err is why the value of the variable is no address. It does not quote it.
	Err error
}

// Collectors are those that the environment names.
func Collectors() (all []Collector) {
	for _, signal := range []string{"TRACES", "METRICS"} {
		if !slices.Contains(chosenExporters(signal), "otlp") {
			continue
		}
		c := Collector{Signal: strings.ToLower(signal)}
		variable, value := endpoint(signal)
		if c.Variable = variable; variable == "" {
			c.Address = "localhost:4318"
			if protocol(signal) == "grpc" {
				c.Address = "localhost:4317"
			}
		} else if c.Err = checkEndpoint(value); c.Err == nil {
			c.Address, c.Secure = hostPort(value)
		}
		all = append(all, c)
	}
	return all
}

func protocol(signal string) string {
	if p := os.Getenv("OTEL_EXPORTER_OTLP_" + signal + "_PROTOCOL"); p != "" {
		return p
	}
	return os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL")
}

// hostPort is the address of a URL that checkEndpoint has taken.
func hostPort(value string) (address string, secure bool) {
	u, err := url.Parse(strings.TrimSpace(value))
	if err != nil {
		return "", false
	}
	port := u.Port()
	if secure = u.Scheme == "https"; port == "" {
		port = "80"
		if secure {
			port = "443"
		}
	}
	return net.JoinHostPort(u.Hostname(), port), secure
}
