package config

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// document is a configuration file, taken apart so that each mistake has its line and its setting. The decoder of the library
// stops at the first value that it cannot read, and names no setting.
type document struct {
	root     *yaml.Node // nil if the file is empty
	mistakes []mistake
}

// mistake is what is wrong with one setting.
type mistake struct {
	line    int    // 0 if it is not in the file
	setting string // its path, or the name of a variable
	text    string // begins with the setting, if there is one
	unread  bool   // the value could not be read. The text does not quote it: it may be a secret in the wrong place
}

func (m mistake) Error() string {
	if m.line > 0 {
		return fmt.Sprintf("line %d: %s", m.line, m.text)
	}
	return m.text
}

// readDocument sets what a file says. An error means that the file has no valid form at all, so that nothing else can be said about it.
func readDocument(text []byte, c *Config) (*document, error) {
	var file yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) { // what stands in it would be ignored
		return nil, errors.New("it goes on behind a line ---; want one document")
	}
	d := &document{}
	if len(file.Content) > 0 {
		d.root = file.Content[0]
		d.set(d.root, reflect.ValueOf(c).Elem(), "")
	}
	return d, nil
}

func (d *document) wrong(line int, setting, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if setting != "" {
		text = setting + ": " + text
	}
	d.mistakes = append(d.mistakes, mistake{line: line, setting: setting, text: text, unread: true})
}

// set gives a setting, or a group of them, the value of a node.
func (d *document) set(n *yaml.Node, v reflect.Value, path string) {
	n = meant(n)
	switch {
	case isGroup(v.Type()):
		if n.ShortTag() == "!!null" {
			return // the defaults stay
		}
		if short, ok := reflect.TypeAssert[interface{ setText(text string) }](v.Addr()); ok && n.Kind == yaml.ScalarNode {
			short.setText(n.Value)
			return
		}
		if n.Kind != yaml.MappingNode {
			d.wrong(n.Line, path, "want settings below it, not %s", shape(n))
			return
		}
		d.setGroup(n, v, path)
	case v.Kind() == reflect.Slice && isGroup(v.Type().Elem()) && n.ShortTag() != "!!null":
		if n.Kind != yaml.SequenceNode {
			d.wrong(n.Line, path, "want a list, not %s", shape(n))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
		for i, element := range n.Content {
			d.set(element, v.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	default:
		was := reflect.New(v.Type()).Elem()
		was.Set(v)
		if err := n.Decode(v.Addr().Interface()); err != nil || isCut(n, v) {
			v.Set(was)
			d.wrong(n.Line, path, "want %s, not %s", wanted(v.Type()), shape(n))
		}
	}
}

// isCut says whether a number has lost what is behind its point.
func isCut(n *yaml.Node, v reflect.Value) bool {
	f, err := strconv.ParseFloat(n.Value, 64)
	return v.CanInt() && n.ShortTag() == "!!float" && err == nil && f != math.Trunc(f)
}

// setGroup sets the fields of a struct. What is merged (<<) comes first, since what stands beside it wins.
func (d *document) setGroup(n *yaml.Node, v reflect.Value, path string) {
	seen := map[string]int{}
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].ShortTag() != "!!merge" {
			continue
		}
		from := []*yaml.Node{meant(n.Content[i+1])}
		if from[0].Kind == yaml.SequenceNode {
			from = from[0].Content
		}
		for _, group := range slices.Backward(from) { // the first one wins
			d.set(group, v, path)
		}
	}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.ShortTag() == "!!merge" {
			continue
		}
		setting := strings.TrimPrefix(path+"."+key.Value, ".")
		if line, twice := seen[key.Value]; twice {
			text := fmt.Sprintf("%s: is there twice; the first one is in line %d", setting, line)
			d.mistakes = append(d.mistakes, mistake{line: key.Line, text: text})
			continue
		}
		seen[key.Value] = key.Line
		field, known := fieldOf(v, key.Value)
		if !known {
			d.wrong(key.Line, setting, "there is no such setting")
			continue
		}
		d.set(value, field, setting)
	}
}

// fieldOf is the field of a struct for a key.
func fieldOf(v reflect.Value, key string) (reflect.Value, bool) {
	for f, field := range v.Fields() {
		if f.IsExported() && f.Tag.Get("yaml") == key {
			return field, true
		}
	}
	return reflect.Value{}, false
}

// meant is the node that an alias stands for, or the node itself.
func meant(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// isGroup says whether a type has settings below it, and is no value.
func isGroup(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// wanted says what a setting of a type can be.
func wanted(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "a duration such as 500ms, 10s or 5m"
	case reflect.TypeFor[Bytes]():
		return "a size in bytes such as 65536, 512KiB or 1MiB"
	case reflect.TypeFor[slog.Level]():
		return "debug, info, warn or error"
	}
	switch t.Kind() { //nolint:exhaustive // the others are text
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Float64:
		return "a number such as 0.5"
	case reflect.Slice:
		return "a list of texts"
	}
	return "a text"
}

// shape says what a node is, without what it says.
func shape(n *yaml.Node) string {
	switch n.Kind { //nolint:exhaustive // the others are not in a document's values
	case yaml.MappingNode:
		return "a group of settings"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!int", "!!float":
		return "this number"
	case "!!bool":
		return "true or false"
	case "!!null":
		return "nothing"
	}
	return "this text"
}

var (
	// step is a part of a setting's path: a name, or an index.
	step = regexp.MustCompile(`^(?:\.?([a-z_]+)|\[(\d+)\])`)
	// settingPath begins what Validate says of a setting. What is wrong with two together names the group first: "nats: user_file …".
	settingPath = regexp.MustCompile(`^[a-z_]+(?:\[\d+\])?(?:\.[a-z_]+(?:\[\d+\])?)*(?:: (?:[a-z_]+_file|domain)\b)?`)
)

// settingOf is the path of the setting that a complaint begins with; "" if it begins with none.
func settingOf(complaint string) string {
	return strings.ReplaceAll(settingPath.FindString(complaint), ": ", ".")
}

// line is where a setting stands, or where the group begins that lacks it; 0 if the file has nothing of it.
func (d *document) line(setting string) int {
	n, line := d.root, 0
	for n != nil && setting != "" {
		part := step.FindStringSubmatch(setting)
		if part == nil {
			break
		}
		setting = setting[len(part[0]):]
		var next *yaml.Node
		n = meant(n)
		switch index, err := strconv.Atoi(part[2]); {
		case n.Kind == yaml.SequenceNode && err == nil && index < len(n.Content):
			next = n.Content[index]
			line = next.Line
		case n.Kind == yaml.MappingNode && part[1] != "":
			for i := 0; i < len(n.Content); i += 2 {
				if next == nil && n.Content[i].Value == part[1] {
					next, line = n.Content[i+1], n.Content[i].Line
				}
			}
		}
		n = next
	}
	return line
}
