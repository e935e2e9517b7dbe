// Gen writes the reference into docs/reference. It is run by go generate in internal/factro, after the table is made.
package main

import (
	"log"
	"os"
	"path/filepath"

	"github.com/factro-bridge/factro-bridge/internal/contract/reference"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// folder is where the reference is kept, seen from the folder of the directive.
const folder = "../../docs/reference"

func main() {
	log.SetFlags(0)
	if err := write(); err != nil {
		log.Fatal(err)
	}
}

func write() error {
	pages, err := reference.Pages(events.DefaultPrefix)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	old, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		return err
	}
	for _, file := range old { // a page of a resource that is gone goes, too; that of the metrics is made in tests
		if _, kept := pages[filepath.Base(file)]; !kept && filepath.Base(file) != "metrics.md" {
			if err := os.Remove(file); err != nil {
				return err
			}
		}
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
