package tenant

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// completeAppointment validates the times, uses the task's title as subject if there is none, and sets the duration in hours.
func completeAppointment(t *tx, _, after, body Object) error {
	start, startErr := time.Parse(time.RFC3339, after.Str("startDate"))
	end, endErr := time.Parse(time.RFC3339, after.Str("endDate"))
	if startErr != nil || endErr != nil {
		return Invalid("startDate", "startDate and endDate are not timestamps")
	}
	if end.Before(start) {
		return Invalid("endDate", "endDate is before startDate")
	}
	after["duration"] = decimal(end.Sub(start).Hours())
	if _, sent := body["subject"]; sent || after.Str("subject") != "" {
		return nil
	}
	task, err := t.get("task", after.Str("referencedTaskId"))
	if err != nil {
		return Invalid("subject", "an appointment needs a subject or a referenced task")
	}
	after["subject"] = task["title"]
	return nil
}

// completeWorkRecord validates the object that time is booked on, and updates the efforts of the task.
func completeWorkRecord(t *tx, before, after, body Object) error {
	if before == nil && after.Str("workEmployeeId") == "" {
		after["workEmployeeId"] = t.user
	}
	kind := after.Str("bookedOnReferenceType")
	booked, err := t.get(kind, after.Str("bookedOnReferenceId"))
	if err != nil {
		return err
	}
	after["title"] = booked["title"]
	if context, err := t.get("project", after.Str("createdInContextOfReferenceId")); err == nil {
		after["createdInContextOfReferenceTitle"] = context["title"]
	}
	if rest, sent := body["remainingTaskEffort"]; sent && kind == "task" {
		if err := checkOpen(booked); err != nil {
			return err
		}
		t.change("task", booked, Object{"remainingEffort": rest}, "TaskUpdated")
	}
	return nil
}

// booking runs a handler on a work record and updates the realized efforts, which no body can set.
func booking(verb handler) handler {
	return func(t *tx) (any, error) {
		answer, err := verb(t)
		if err != nil {
			return nil, err
		}
		minutes := map[string]float64{}
		for _, r := range t.list("workRecord", where("bookedOnReferenceType", "task")) {
			minutes[r.Str("bookedOnReferenceId")] += float(r["minutesWorked"])
		}
		for _, task := range t.list("task", nil) {
			hours := decimal(minutes[task.ID()] / 60)
			if float(task["realizedEffort"]) != float(hours) {
				t.put("task", task.With(Object{"realizedEffort": hours}))
			}
		}
		return answer, nil
	}
}

// listWorkRecords accepts two days, both inclusive and optional. It is the only filter of the API.
func listWorkRecords(t *tx) (any, error) {
	from, to := t.query.Get("startDate"), t.query.Get("endDate")
	project := t.params["projectId"]
	if project != "" {
		if _, err := t.get("project", project); err != nil {
			return nil, err
		}
	}
	return t.renderRows("workRecord", t.list("workRecord", func(r Object) bool {
		day := r.Str("startDate")
		return (from == "" || day >= from) && (to == "" || day <= to) && (project == "" || t.bookedIn(r) == project)
	})), nil
}

// bookedIn is the project of a work record.
func (t *tx) bookedIn(record Object) string {
	kind, id := record.Str("bookedOnReferenceType"), record.Str("bookedOnReferenceId")
	if kind == "project" {
		return id
	}
	o, err := t.get(kind, id)
	if err != nil {
		return ""
	}
	return o.Str("projectId")
}

func float(value any) float64 {
	n, _ := value.(json.Number)
	f, _ := n.Float64()
	return f
}

// decimal is a number with at most two fraction digits, as people enter hours.
func decimal(f float64) json.Number {
	return json.Number(strconv.FormatFloat(math.Round(f*100)/100, 'f', -1, 64))
}
