// Package payload has the data of factro's commands and queries, and of its answers, in Go.
//
// In comes what a program wants: each command on tasks, projects, packages, work records, companies, contacts and
// appointments, and each query, has a struct. Out goes its JSON, by way of events.Client, and the answer with a type: of a
// command by its method Answer, of a query by events.Ask. [Generic] is for all other commands. The package sends nothing
// itself, and never checks what factro would refuse: the bridge does.
//
//	create := payload.CreateTask{Title: "Prüfung", TargetParentID: packageID, EndDate: payload.Set(payload.Day(2026, 9, 1))}
//	result, err := client.Do(ctx, create)
//	if err != nil {
//		return err
//	}
//	task, err := create.Answer(result)
//
// A property that may be left out is an [Optional]: absent, null or set. In a change, absent leaves the value at factro as
// it is, and null clears it.
//
// # Units and facts
//
// Timestamps are [Time]. Start and end dates of tasks, packages and projects are calendar days, which factro keeps as
// instants; see [Day]. Dates of work records are strings such as 2026-09-01, and times of day such as 09:00. Efforts are
// hours by all appearances, and minutesWorked says its unit. Numbers are float64 where they may have fractions; those of
// custom fields are a [json.Number], and the Response of an events.Result has all their digits. Enumerations hold the
// known values, and any other passes.
//
// The structs are generated from the bridge's description of factro's Core API, a reconstruction from public sources. How
// well a fact is known stands beside it: observed (a public client proved it against the live service), documented
// (derived from the vendor's own words) or inferred (reasoned, never seen). What is required, which values an enumeration
// has and what an answer holds is known no better than that, so decoding takes what it does not know, and an answer that
// has another form fails to decode and is still there as it came.
package payload
