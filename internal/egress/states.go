package egress

// state is the state of a command. A command is in exactly one state at a time, and each state has one function.
type state int

const (
	planning     state = iota // the message is translated into a call
	resolving                 // the external keys in the data are replaced by ids, and the command's own key is reserved
	dryRunning                // a dry run: the call is described, not made
	delaying                  // the command is stored until its notbefore
	checking                  // the ledger is checked for a result while the gate is closed
	waiting                   // waits until a call may be made
	beginning                 // the ledger records that a call is about to be made
	opening                   // the file of an upload is opened
	awaitingFile              // the file cannot be read: a pause before the next try
	calling                   // factro is called
	freeing                   // factro does not know the object of an external key: the key is freed
	searching                 // the object of a create that may have happened is searched for
	pausing                   // factro failed: a pause before the next attempt
	concluding                // the result goes into the ledger
	settlingKey               // the command's own external key gets the id of the object, or is free again
	publishing                // the result is published
	settled                   // the bus has its verdict
)

// finding is what the function of a state returns. It leads to the next state. The zero value means: go on.
type finding int

const (
	goOn          finding = iota
	onlyDryRun            // the command is a dry run
	early                 // the notbefore of the command has not passed
	kept                  // the command is stored until its notbefore
	keyed                 // the command has external keys
	keyPending            // another command has reserved an external key and has not ended: the bus delivers this one again
	keyLost               // factro does not know an object, and an external key stands for it
	fileUnread            // the file could not be read
	blocked               // factro accepts no calls at the moment and has not processed this one
	attemptFailed         // factro failed, and a retry may succeed
	doubtful              // a create may have happened or not
	concluded             // the outcome is known
	remembered            // the result already exists
	stopped               // the bridge stops: another delivery continues
	parted                // it could not be carried out together with others: the bus delivers it again, alone
	storeFailed           // the ledger or the broker failed: the bus delivers the command again
)

// transitions has the next state for each state and finding. A row has exactly the findings that the function of the state can
// return. A test compares the table with the code, and writes it into docs/commands.md.
var transitions = map[state]map[finding]state{
	planning:     {goOn: checking, onlyDryRun: dryRunning, early: delaying, keyed: resolving, remembered: settlingKey, concluded: concluding, storeFailed: settled},
	resolving:    {goOn: checking, onlyDryRun: dryRunning, keyPending: settled, remembered: settlingKey, concluded: concluding, storeFailed: settled},
	dryRunning:   {fileUnread: awaitingFile, remembered: settlingKey, concluded: concluding, storeFailed: settled},
	delaying:     {goOn: checking, keyed: resolving, kept: settled, remembered: settlingKey, concluded: concluding, storeFailed: settled},
	checking:     {goOn: waiting, remembered: settlingKey, concluded: concluding, storeFailed: settled},
	waiting:      {goOn: beginning, remembered: settlingKey, concluded: concluding, stopped: settled, storeFailed: settled},
	beginning:    {goOn: opening, doubtful: searching, remembered: settlingKey, concluded: concluding, storeFailed: settled},
	opening:      {goOn: calling, fileUnread: awaitingFile, storeFailed: settled},
	awaitingFile: {goOn: waiting, onlyDryRun: dryRunning, concluded: concluding, stopped: settled},
	calling:      {blocked: waiting, attemptFailed: pausing, doubtful: searching, keyLost: freeing, concluded: concluding, stopped: settled, parted: settled, storeFailed: settled},
	freeing:      {keyed: resolving, concluded: concluding, stopped: settled, storeFailed: settled},
	searching:    {goOn: waiting, concluded: concluding, stopped: settled, storeFailed: settled},
	pausing:      {goOn: waiting, stopped: settled},
	concluding:   {goOn: settlingKey, storeFailed: settled},
	settlingKey:  {goOn: publishing, storeFailed: settled},
	publishing:   {goOn: settled},
}

var stateNames = [...]string{
	planning: "planning", resolving: "resolving", dryRunning: "dryRunning", delaying: "delaying", checking: "checking", waiting: "waiting", beginning: "beginning", opening: "opening",
	awaitingFile: "awaitingFile", calling: "calling", freeing: "freeing", searching: "searching", pausing: "pausing", concluding: "concluding", settlingKey: "settlingKey", publishing: "publishing",
	settled: "settled",
}

func (s state) String() string { return stateNames[s] }

var findingNames = [...]string{
	goOn: "go on", onlyDryRun: "dry run", early: "too early", kept: "stored", keyed: "external keys", keyPending: "key pending", keyLost: "object unknown", fileUnread: "file unread", blocked: "blocked", attemptFailed: "failed", doubtful: "in doubt",
	concluded: "outcome known", remembered: "result known", stopped: "bridge stops", parted: "alone", storeFailed: "ledger or broker failed",
}

func (e finding) String() string { return findingNames[e] }
