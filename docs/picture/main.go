// Command picture draws the picture of the README. What comes in is bridge.txt, what goes out is bridge.svg beside it.
// It knows boxes in columns and arrows between them, and nothing about what they mean.
package main

//go:generate go run .

import (
	"fmt"
	"log"
	"os"
	"strings"
)

func main() {
	log.SetFlags(0)
	source, err := os.ReadFile("bridge.txt")
	if err != nil {
		log.Fatal(err)
	}
	p, err := parse(string(source))
	if err != nil {
		log.Fatalf("bridge.txt: %v", err)
	}
	if err := os.WriteFile("bridge.svg", []byte(draw(p)), 0o644); err != nil {
		log.Fatal(err)
	}
}

// picture is what bridge.txt says.
type picture struct {
	columns []box
	rows    []row
}

// row has one box for each inner column and one arrow for each gap between two columns.
type row struct {
	boxes  []box
	arrows []arrow
}

// box is a title with a smaller line below it. An empty title is no box.
type box struct{ title, note string }

// arrow points left, right or both ways. One that points nowhere is not drawn.
type arrow struct {
	left, right bool
	word        string
}

func parse(source string) (picture, error) {
	var p picture
	for line := range strings.Lines(source) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		cells := strings.Split(line, "|")
		if p.columns == nil {
			for _, cell := range cells {
				p.columns = append(p.columns, boxOf(cell, ":"))
			}
			continue
		}
		if want := 2*len(p.columns) - 3; len(cells) != want {
			return picture{}, fmt.Errorf("%q has %d cells, want %d", line, len(cells), want)
		}
		var r row
		for i, cell := range cells {
			if i%2 == 1 {
				r.boxes = append(r.boxes, boxOf(cell, ";"))
				continue
			}
			a, err := arrowOf(cell)
			if err != nil {
				return picture{}, err
			}
			r.arrows = append(r.arrows, a)
		}
		p.rows = append(p.rows, r)
	}
	if len(p.columns) < 2 || len(p.rows) == 0 {
		return picture{}, fmt.Errorf("%d columns and %d rows, want at least 2 and 1", len(p.columns), len(p.rows))
	}
	return p, nil
}

func boxOf(cell, separator string) box {
	title, note, _ := strings.Cut(cell, separator)
	return box{title: strings.TrimSpace(title), note: strings.TrimSpace(note)}
}

func arrowOf(cell string) (arrow, error) {
	sign, word, _ := strings.Cut(strings.TrimSpace(cell), " ")
	a := arrow{left: strings.HasPrefix(sign, "<-"), right: strings.HasSuffix(sign, "->"), word: strings.TrimSpace(word)}
	if sign != "" && sign != "->" && sign != "<-" && sign != "<->" {
		return arrow{}, fmt.Errorf("%q is no arrow, want ->, <- or <->", sign)
	}
	return a, nil
}
