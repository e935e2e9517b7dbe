package schemas

import (
	"fmt"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/contract/ordered"
	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// DataSchema is the data of a command or a query.
func DataSchema(op factro.Operation) map[string]any {
	schema := op.DataSchema()
	properties, _ := schema["properties"].(map[string]any)
	keyRefsIn(properties, factro.FieldEntities)
	schema["title"] = op.Name
	schema["description"] = about(op)
	schema["x-confidence"] = op.Confidence
	schema["examples"] = ordered.List{op.Example()}
	return schema
}

// ResultOf is the data of an operation's results. What the Core API answers is not checked: the response's schema is what
// is known of it.
func ResultOf(op factro.Operation) map[string]any {
	response := answerSchema(op)
	if response == nil {
		response = anyResponse()
	}
	properties := map[string]any{"operation": map[string]any{"const": op.Name}, "response": response}
	if set := setSchema(op); set != nil {
		properties["set"] = set
	}
	return map[string]any{
		"title": "Result of " + op.Name, "description": "The outcome of the command " + op.Name + ". " + AnswerText(op),
		"x-confidence": op.Confidence, "type": "object", "required": ordered.List{"operation"}, "allOf": ordered.List{Ref("Result")},
		"properties": properties,
	}
}

// setSchema is the set of an operation's results, nil if it sets no fields or if its results do not say which.
func setSchema(op factro.Operation) map[string]any {
	kind, _ := op.Deletes()
	switch {
	case op.Entity() == "" || kind != "" || op.Body == factro.BodyMultipart || op.Body == factro.BodyNone && op.Sets == nil:
		return nil
	case op.Body != factro.BodyList:
		return map[string]any{"type": "object"}
	case op.Creates():
		return nil
	}
	return map[string]any{"type": "array", "items": map[string]any{
		"type": "object", "required": ordered.List{"id"}, "properties": map[string]any{"id": map[string]any{"type": "string"}},
	}}
}

// resultOfAny is the data of a result of whatever operation.
func resultOfAny() map[string]any {
	return map[string]any{
		"title": "Data of a result", "description": "The outcome of a command. Each operation has its own schema of it.",
		"type": "object", "allOf": ordered.List{Ref("Result")}, "properties": map[string]any{"response": anyResponse()},
	}
}

// ResultOfDryRun is the data of results of dry runs, of all operations.
func ResultOfDryRun() map[string]any {
	return map[string]any{
		"title": "Data of the result of a dry run", "description": "The outcome of a command with the attribute dryrun. Nothing was called.",
		"type": "object", "allOf": ordered.List{Ref("Result")}, "properties": map[string]any{"response": Ref("PlannedCall")},
	}
}

func anyResponse() map[string]any {
	return map[string]any{"description": "The Core API's JSON as it came. Absent if there was none, or beyond 512 KiB."}
}

// AnswerOf is the answer to a query.
func AnswerOf(op factro.Operation) map[string]any {
	schema := map[string]any{
		"title": "Answer to " + op.Name, "description": AnswerText(op), "x-confidence": op.Confidence,
	}
	if answer := answerSchema(op); answer != nil {
		schema["allOf"] = ordered.List{answer}
		schema["examples"] = ordered.List{op.ExampleAnswer()}
	}
	return schema
}

// answerSchema is what a good answer holds; nil if nothing is promised.
func answerSchema(op factro.Operation) map[string]any {
	switch op.Answer {
	case factro.AnswerObject:
		return Ref(AnswerPrefix + op.AnswerSchema)
	case factro.AnswerList:
		return map[string]any{"type": "array", "items": Ref(AnswerPrefix + op.AnswerSchema)}
	case factro.AnswerVoid:
	}
	return nil
}

// AnswerText is answerSchema in words.
func AnswerText(op factro.Operation) string {
	switch op.Answer {
	case factro.AnswerObject:
		return "factro answers with one " + op.AnswerSchema + "."
	case factro.AnswerList:
		return "factro answers with a list of " + op.AnswerSchema + "."
	case factro.AnswerVoid:
	}
	return "No answer of factro's is promised."
}

// about says in sentences what an operation does.
func about(op factro.Operation) string {
	parts := []string{op.Summary}
	if op.Remarks != "" {
		parts = append(parts, op.Remarks)
	}
	parts = append(parts, fmt.Sprintf("%s %s of the Core API, %s.", op.Method, op.Path, op.Confidence))
	return strings.Join(parts, " ")
}
