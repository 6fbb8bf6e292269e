// Package workssim is `dipcast works-sim`: it reads whom to simulate from
// flags, a YAML file or manifests, and runs pbx/works/sim until the context
// ends. It knows Kubernetes manifests only as text: the Secret with the bot's
// five keys, the bot's IDs and the people who have extensions.
package workssim
