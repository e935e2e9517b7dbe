// A program with the types that are made of the schemas. It has to compile with --strict.
import type { DataOfAnEvent } from "./generated/event.js";
import type { ResultOfCreateTask } from "./generated/result.createTask.js";
import type { ResultOfCreateTasks } from "./generated/result.createTasks.js";
import type { DataOfAResult } from "./generated/result.js";
import type { DataOfTheResultOfADryRun } from "./generated/dryrun.js";
import type { DataOfAnErrorThatAnswersAQuery } from "./generated/error.js";
import type { AnswerToGetTask } from "./generated/answer.getTask.js";
import type { AnswerToListTasks } from "./generated/answer.listTasks.js";
import type { CreateTask } from "./generated/command.createTask.js";
import type { GetTask } from "./generated/query.getTask.js";
import type { DataOfAnEventAboutAGap } from "./generated/gap.js";

export function about(event: DataOfAnEvent): string {
  const id: string | undefined = event.context?.entityId;
  return `${event.action} ${id?.toUpperCase() ?? "of nothing"}`;
}

// What nobody has seen in a delivery has to be looked at first.
export function receivedAt(event: DataOfAnEvent): Date | undefined {
  return typeof event.createdAt === "string" ? new Date(event.createdAt) : undefined;
}

export function told(result: ResultOfCreateTask): string {
  const operation: "createTask" = result.operation;
  if (result.error) return result.error.detail.map(({ pointer, message }) => `${pointer}: ${message}`).join("\n");
  const title: string | undefined = result.response?.title;
  const end: string | null | undefined = result.response?.endDate;
  return `${operation} ${title} ${end ?? "open"} ${result.resource?.id} after ${result.attempts.toFixed()} calls`;
}

export const titles = (result: ResultOfCreateTasks): string[] => (result.response ?? []).map((task) => task.title);

export function ofAny(result: DataOfAResult): unknown {
  const { response } = result;
  if (Array.isArray(response)) return response.length;
  return typeof response === "object" && response !== null ? response["id"] : response;
}

export const planned = (result: DataOfTheResultOfADryRun): string | undefined => result.response && `${result.response.method} ${result.response.path}`;
export const whyNot = (error: DataOfAnErrorThatAnswersAQuery): string => `${error.code}: ${error.detail[0].message}`;
export const before = (result: DataOfAResult): string | undefined => result.error?.earlier && `${result.error.earlier.outcome} ${result.error.earlier.resource?.id}`;
export const open = (task: AnswerToGetTask): boolean => task.taskState.length > 0 && !task.isMilestone;
export const all = (tasks: AnswerToListTasks): string[] => tasks.map((task) => task.id);
export const missed = (gap: DataOfAnEventAboutAGap): string[] => gap.records.map((record) => record.action);

export const command: CreateTask = { title: "Prüfung", targetParentId: "p-1", plannedEffort: 1.5 };
export const query: GetTask = { taskId: "t-1" };
