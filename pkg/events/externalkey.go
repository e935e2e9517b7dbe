package events

import "bytes"

// keyMark begins a string that stands for an object with an external key. No id of factro's has such a character.
const keyMark = "\x00externalkey:"

// ByExternalKey returns what stands in the place of an id for the object with an external key, see [WithExternalKey]:
//
//	payload.SetTaskState{TaskID: events.ByExternalKey("JIRA-17"), State: payload.TaskStateReview}
//
// It is for the payloads of a [Client], which sends {"externalkey": "JIRA-17"} instead of the id. The bridge rejects the command or
// query with [CodeUnknownKey] if it does not know the key.
func ByExternalKey(key string) string { return keyMark + key }

// byKeys writes the objects for the strings of ByExternalKey in JSON that encoding/json has made.
func byKeys(data []byte) []byte {
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
