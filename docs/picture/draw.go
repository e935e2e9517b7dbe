package main

import (
	"encoding/xml"
	"fmt"
	"strings"
)

// Lengths in the picture, in its own units. The inner columns are as wide as their longest line at these font sizes.
const (
	margin     = 16
	outer      = 144 // the first and the last column
	gap        = 78  // between two columns, for an arrow with its word
	head       = 58  // a column's name and what it is
	boxHeight  = 46
	rowHeight  = 60
	noteWidth  = 6.8 // one character of a smaller line
	boxPadding = 10
)

// style has both colour schemes. The picture brings its background, so that it can be read where the page has another
// scheme than the reader's system.
const style = `
    .page { fill: #ffffff; stroke: #d0d7de; }
    .column { fill: #f6f8fa; stroke: #d0d7de; }
    .box { fill: #ffffff; stroke: #8c959f; }
    text { fill: #1f2328; font: 14px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
    .name { font-weight: 600; font-size: 16px; }
    .note, .word { fill: #59636e; font-size: 12px; }
    .subject { fill: #59636e; font: 11px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
    .arrow { stroke: #0969da; stroke-width: 1.6; fill: none; }
    .tip { fill: #0969da; }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117; stroke: #3d444d; }
      .column { fill: #151b23; stroke: #3d444d; }
      .box { fill: #0d1117; stroke: #656c76; }
      text { fill: #f0f6fc; }
      .note, .word, .subject { fill: #9198a1; }
      .arrow { stroke: #4493f8; }
      .tip { fill: #4493f8; }
    }
  `

// draw returns the picture as SVG.
func draw(p picture) string {
	widths := make([]int, len(p.columns))
	widths[0], widths[len(widths)-1] = outer, outer
	for _, r := range p.rows {
		for i, b := range r.boxes {
			widths[i+1] = max(widths[i+1], int(noteWidth*float64(len([]rune(b.note))))+4*boxPadding)
		}
	}
	lefts, width := make([]int, len(widths)), margin
	for i, w := range widths {
		lefts[i] = width
		width += w + gap
	}
	width += margin - gap
	height := 2*margin + head + len(p.rows)*rowHeight

	var b strings.Builder
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\" aria-labelledby=\"title\">\n",
		width, height, width, height)
	fmt.Fprintf(&b, "  <!-- Written by \"go generate ./docs/picture\" from bridge.txt. -->\n")
	fmt.Fprintf(&b, "  <title id=\"title\">%s</title>\n  <style>%s</style>\n", escape(titleOf(p)), style)
	fmt.Fprintf(&b, "  <rect class=\"page\" x=\"0.5\" y=\"0.5\" width=\"%d\" height=\"%d\" rx=\"8\"/>\n", width-1, height-1)
	for i, c := range p.columns {
		fmt.Fprintf(&b, "  <rect class=\"column\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"6\"/>\n", lefts[i], margin, widths[i], height-2*margin)
		center := lefts[i] + widths[i]/2
		text(&b, "name", center, margin+24, c.title)
		text(&b, "note", center, margin+42, c.note)
	}
	for n, r := range p.rows {
		top := margin + head + n*rowHeight
		for i, x := range r.boxes {
			if x.title != "" {
				drawBox(&b, x, lefts[i+1]+boxPadding, top, widths[i+1]-2*boxPadding)
			}
		}
		for i, a := range r.arrows {
			drawArrow(&b, a, rightEdge(r, lefts, widths, i), leftEdge(r, lefts, i+1), top+boxHeight/2)
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// rightEdge is where an arrow begins to the right of a column: at its box if it has one in this row, else at the column.
func rightEdge(r row, lefts, widths []int, column int) int {
	edge := lefts[column] + widths[column]
	if hasBox(r, column) {
		edge -= boxPadding
	}
	return edge
}

func leftEdge(r row, lefts []int, column int) int {
	if hasBox(r, column) {
		return lefts[column] + boxPadding
	}
	return lefts[column]
}

func hasBox(r row, column int) bool {
	return column > 0 && column <= len(r.boxes) && r.boxes[column-1].title != ""
}

func drawBox(b *strings.Builder, x box, left, top, width int) {
	fmt.Fprintf(b, "  <rect class=\"box\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"5\"/>\n", left, top, width, boxHeight)
	class := "note"
	if strings.Contains(x.note, ".") {
		class = "subject"
	}
	text(b, "", left+width/2, top+19, x.title)
	text(b, class, left+width/2, top+36, x.note)
}

func drawArrow(b *strings.Builder, a arrow, from, to, y int) {
	if !a.left && !a.right {
		return
	}
	fmt.Fprintf(b, "  <path class=\"arrow\" d=\"M%d %dH%d\"/>\n", from+4, y, to-4)
	if a.right {
		fmt.Fprintf(b, "  <path class=\"tip\" d=\"M%d %dl-9 -4.5v9z\"/>\n", to-2, y)
	}
	if a.left {
		fmt.Fprintf(b, "  <path class=\"tip\" d=\"M%d %dl9 -4.5v9z\"/>\n", from+2, y)
	}
	text(b, "word", (from+to)/2, y-7, a.word)
}

func text(b *strings.Builder, class string, x, y int, s string) {
	if s == "" {
		return
	}
	if class != "" {
		class = fmt.Sprintf(" class=%q", class)
	}
	fmt.Fprintf(b, "  <text%s x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", class, x, y, escape(s))
}

// titleOf is what a screen reader says.
func titleOf(p picture) string {
	var names []string
	for _, c := range p.columns {
		names = append(names, c.title)
	}
	return strings.Join(names, ", ") + ": what goes where"
}

func escape(s string) string {
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		panic(err) // a strings.Builder takes everything
	}
	return b.String()
}
