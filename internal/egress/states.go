package egress

// state is where a command stands. It is in exactly one at a time, and each state has one function that does its work.
type state int

const (
	planning   state = iota // its message is read and becomes a call
	rehearsing              // a dry run: the call is described instead of made
	recalling               // the ledger may know its result while factro is not to be called
	waiting                 // until a call may be made
	entering                // the ledger hears that a call is about to be made
	opening                 // the file that it sends is opened
	missing                 // the file cannot be read: a pause
	calling                 // factro is called
	looking                 // a create that may have happened is looked for
	pausing                 // factro failed: a pause before the next attempt
	concluding              // the result goes into the ledger
	telling                 // the result goes to the sender
	settled                 // the bus has its verdict
)

// finding is what the work of a state leads to. The zero value says that nothing stands in the way: go on.
type finding int

const (
	goOn       finding = iota
	rehearse           // it is a dry run
	unread             // its file could not be read
	held               // factro works on nothing just now, and has not worked on this
	repeat             // factro failed on it, which may pass
	doubtful           // a create may have happened or not
	concluded          // its outcome is known
	remembered         // its result exists already
	stopped            // the bridge stops: another delivery goes on with it
	broken             // the ledger or the broker failed: the bus decides when it is delivered again
)

// transitions say what follows what. Every finding that the work of a state can have is in its row, and nothing else; a test
// reads the code to make sure, and draws the table into docs/commands.md.
var transitions = map[state]map[finding]state{
	planning:   {goOn: recalling, rehearse: rehearsing, remembered: telling, concluded: concluding, broken: settled},
	rehearsing: {unread: missing, remembered: telling, concluded: concluding, broken: settled},
	recalling:  {goOn: waiting, remembered: telling, concluded: concluding, broken: settled},
	waiting:    {goOn: entering, remembered: telling, concluded: concluding, stopped: settled, broken: settled},
	entering:   {goOn: opening, doubtful: looking, remembered: telling, concluded: concluding, broken: settled},
	opening:    {goOn: calling, unread: missing, broken: settled},
	missing:    {goOn: waiting, rehearse: rehearsing, concluded: concluding, stopped: settled},
	calling:    {held: waiting, repeat: pausing, doubtful: looking, concluded: concluding, stopped: settled, broken: settled},
	looking:    {goOn: waiting, concluded: concluding, stopped: settled, broken: settled},
	pausing:    {goOn: waiting, stopped: settled},
	concluding: {goOn: telling, broken: settled},
	telling:    {goOn: settled},
}

var stateNames = [...]string{
	planning: "planning", rehearsing: "rehearsing", recalling: "recalling", waiting: "waiting", entering: "entering", opening: "opening",
	missing: "missing", calling: "calling", looking: "looking", pausing: "pausing", concluding: "concluding", telling: "telling",
	settled: "settled",
}

func (s state) String() string { return stateNames[s] }

var findingNames = [...]string{
	goOn: "go on", rehearse: "dry run", unread: "file unread", held: "held up", repeat: "failed", doubtful: "in doubt",
	concluded: "outcome known", remembered: "result known", stopped: "bridge stops", broken: "ledger or broker failed",
}

func (e finding) String() string { return findingNames[e] }
