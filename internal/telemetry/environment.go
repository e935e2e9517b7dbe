package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// chosenExporters are the exporters of a signal that the environment names. The standard's default is OTLP to localhost, which would
// log an error every few seconds where no collector runs; so the default only applies if an endpoint is set.
func chosenExporters(signal string) (names []string) {
	if strings.EqualFold(strings.TrimSpace(os.Getenv("OTEL_SDK_DISABLED")), "true") {
		return nil
	}
	for name := range strings.SplitSeq(os.Getenv("OTEL_"+signal+"_EXPORTER"), ",") {
		if name = strings.ToLower(strings.TrimSpace(name)); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if variable, _ := endpoint(signal); len(names) == 0 && variable != "" {
		names = []string{"otlp"}
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == "none" })
}

// endpoint is the address of the collector for a signal, and the variable that has it. Both are empty if no variable is set.
func endpoint(signal string) (variable, value string) {
	for _, variable := range []string{"OTEL_EXPORTER_OTLP_" + signal + "_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"} { // the first that is set counts
		if value := os.Getenv(variable); value != "" {
			return variable, value
		}
	}
	return "", ""
}

// exporters are the exporters of a signal that can be used.
func (t *Telemetry) exporters(ctx context.Context, signal string) []string {
	return slices.DeleteFunc(chosenExporters(signal), func(name string) bool {
		variable, value := endpoint(signal)
		if name != "otlp" || variable == "" {
			return false
		}
		err := checkEndpoint(value)
		if err != nil {
			t.warn(ctx, variable, err) // the library would quote it and use localhost
		}
		return err != nil
	})
}

// checkEndpoint returns an error if an address of a collector is invalid, without quoting it.
func checkEndpoint(value string) error {
	u, err := url.Parse(strings.TrimSpace(value))
	if err == nil {
		err = secret.CheckPort(u.Host)
	}
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%s is not an address such as http://collector:4318", secret.Address(value))
	}
	return nil
}

// numbers are the variables that hold a whole number, with the smallest and largest useful value. With other values the
// library ends the process, keeps a processor busy, or silently ignores them.
var numbers = []struct {
	names       []string
	least, most int64
}{
	{[]string{"OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"}, 1, 1 << 20},
	{[]string{"OTEL_BSP_SCHEDULE_DELAY", "OTEL_METRIC_EXPORT_INTERVAL"}, 1, mostMillis},
	{[]string{
		"OTEL_BSP_EXPORT_TIMEOUT", "OTEL_METRIC_EXPORT_TIMEOUT",
		"OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
	}, 1, mostMillis},
	{[]string{
		"OTEL_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
		"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_EVENT_COUNT_LIMIT", "OTEL_SPAN_LINK_COUNT_LIMIT",
		"OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
	}, -1, 1 << 30}, // -1 is no limit
}

// mostMillis is a day.
const mostMillis = 24 * 60 * 60 * 1000

// dropNumbers removes unusable numbers from the environment, so that the library uses its defaults.
func (t *Telemetry) dropNumbers(ctx context.Context) {
	for _, kind := range numbers {
		for _, name := range kind.names {
			value := os.Getenv(name)
			if value == "" {
				continue
			}
			n, err := strconv.ParseInt(value, 10, 64)
			if err == nil && n >= kind.least && n <= kind.most {
				continue
			}
			t.warn(ctx, name, fmt.Errorf("it is not a whole number from %d to %d", kind.least, kind.most))
			if err := os.Unsetenv(name); err != nil {
				t.warn(ctx, name, err)
			}
		}
	}
}

// chosen lets the library make one of several exporters. It accepts one name only, and only from the environment, which
// nothing else reads while the process starts.
func chosen(variable, name string, build func() error) (err error) {
	was, set := os.LookupEnv(variable)
	if err := os.Setenv(variable, name); err != nil {
		return err
	}
	defer func() {
		if !set {
			err = errors.Join(err, os.Unsetenv(variable))
			return
		}
		err = errors.Join(err, os.Setenv(variable, was))
	}()
	if err := build(); err != nil {
		return fmt.Errorf("%.40q: %w", name, hidden(err))
	}
	return nil
}

// hidden is an error of the library without the address that it may quote.
func hidden(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
