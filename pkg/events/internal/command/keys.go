package command

import "bytes"

// KeyMark begins a string that stands for an object with an external key. No id of factro's has such a character.
const KeyMark = "\x00externalkey:"

// ByKeys writes the objects for strings with a KeyMark in JSON that encoding/json has made.
func ByKeys(data []byte) []byte {
	const mark = `"\u0000externalkey:`
	if !bytes.Contains(data, []byte(mark)) {
		return data
	}
	var out bytes.Buffer
	for i := 0; i < len(data); {
		if data[i] != '"' {
			out.WriteByte(data[i])
			i++
			continue
		}
		end := stringEnd(data, i)
		if key, marked := bytes.CutPrefix(data[i:end], []byte(mark)); marked {
			out.WriteString(`{"externalkey":"`)
			out.Write(key)
			out.WriteByte('}')
		} else {
			out.Write(data[i:end])
		}
		i = end
	}
	return out.Bytes()
}

// stringEnd is the place behind the JSON string that begins at i.
func stringEnd(data []byte, i int) int {
	for i++; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(data)
}
