package events

// SchemaURI is the identity of a schema of the contract, urn:factro:schema:<name>, as its $id and a result's dataschema
// have it. Names are event, gap, command.<operation>, result, result.<operation>, query.<operation> and answer.<operation>;
// "bridge contract schema" lists and prints them.
func SchemaURI(name string) string { return "urn:factro:schema:" + name }
