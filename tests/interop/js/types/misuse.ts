// What the types have to prevent. It compiles only if each line below a comment is an error.
import type { DataOfAnEvent } from "./generated/event.js";
import type { ResultOfCreateTask } from "./generated/result.createTask.js";
import type { DataOfAResult } from "./generated/result.js";
import type { AnswerToListTasks } from "./generated/answer.listTasks.js";
import type { CreateTask } from "./generated/command.createTask.js";

export function misuse(event: DataOfAnEvent, result: ResultOfCreateTask, any: DataOfAResult, tasks: AnswerToListTasks): unknown[] {
  return [
    // @ts-expect-error: an id is text
    event.context?.entityId?.toFixed(),
    // @ts-expect-error: there may be no context
    event.context.entityId,
    // @ts-expect-error: nobody knows what that is
    event.createdAt.toUpperCase(),
    // @ts-expect-error: a title is text
    result.response?.title.toFixed(),
    // @ts-expect-error: there may be no response
    result.response.title,
    // @ts-expect-error: the details are a list
    result.error?.detail.message,
    // @ts-expect-error: and what is in it has a message of text
    result.error?.detail[0].message.toFixed(),
    // @ts-expect-error: it is the result of one operation
    result.operation === "deleteTask",
    // @ts-expect-error: there is no such outcome
    result.outcome === "done",
    // @ts-expect-error: the response of any operation has to be looked at first
    any.response.id,
    // @ts-expect-error: it is a list
    tasks.title,
  ];
}

// @ts-expect-error: a parent is missing
export const without: CreateTask = { title: "Prüfung" };
// @ts-expect-error: a title is text
export const wrong: CreateTask = { title: 7, targetParentId: "p-1" };
