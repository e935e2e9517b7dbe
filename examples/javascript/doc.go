// Package javascript tests the program in changes.mjs: it writes a stream of changes as the bridge's mirror does, and reads what the
// program prints.
package javascript
