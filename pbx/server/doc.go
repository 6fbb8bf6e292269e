// Package server makes one tenant's PBX from a conf.Document: it is the only
// place where the engine, the SIP side, the media plane, the bot, the store
// and the web meet.
//
// Server.Run owns every goroutine and returns when all of them have ended.
// Apply takes a new document while calls go on: Plan, a pure function,
// compares it with the running one part by part before anything is touched,
// and each part answers none, update or restart. Parts that could only be
// changed by cutting calls (ports, addresses, the database) keep their old
// state and are named in the result, so that whoever applied the document can
// restart the process when it suits.
//
// On the admin listener, to whoever has the API token, it reports its state and
// takes drains (conf.Report, conf.Drain): new calls are refused for a while, so
// that the process can be replaced between two calls.
//
// The order of an end is: refuse new calls, wait for the calls that are up,
// end what is left, write the last records, close the sockets.
package server
