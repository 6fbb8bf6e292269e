// Package store keeps what must survive the process: call detail records and
// registrations. One DB speaks to SQLite (a file in the tenant's data folder)
// or PostgreSQL (a DSN); the SQL is shared but for the migrations, and one
// test suite runs on both.
//
// A DB is safe for use from many goroutines and starts none of its own beyond
// those of database/sql. It knows nothing of calls in progress.
package store
