package events

// ResourceBridge is the resource of the bridge's own events: those about gaps, which the package gap reads, and those of
// "bridge canary".
const ResourceBridge = "bridge"

// ActionCanary is the action of the webhooks that "bridge canary" sends to see whether one arrives. factro has no such
// action. Their events are of ResourceBridge, too: leave them out where they are not wanted.
const ActionCanary = "BridgeCanary"

// OperationCanary is the operation of the command that "bridge canary" sends, on ResourceBridge. The bridge answers it itself:
// the result is applied, factro is not called, and nothing is remembered.
const OperationCanary = "canary"
