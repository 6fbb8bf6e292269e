// Package trust follows a file of certificates that an installation trusts
// beside the system's: the operator itself, and through their documents all
// PBXs. What is in force stays so while the file cannot be read. It knows
// nothing of who uses it.
package trust
