// Package text is the catalogue of everything that employees and tenants
// read: one file per language under catalogue, Korean, English and Japanese
// for the bot's cards and answers, Korean and English for the console's pages.
//
// The package is pure: it starts no goroutine, keeps no state beside the
// embedded files parsed once, and imports nothing of ours. It must not know
// what a card or a page looks like.
package text
