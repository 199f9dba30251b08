/* SPDX-License-Identifier: BSD-3-Clause */
/* up, down, reset: the driver over vfio-user and the kernel's VFIO. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <json-c/json.h>

#include "cli/bn.h"
#include "cli/cli.h"
#include "cli/driver_opts.h"
#include "cli/hold.h"
#include "cli/options.h"
#include "cli/show_table.h"
#include "cli/up.h"
#include "driver/pci_sysfs.h"

#define UP_READY_S 5.0
#define UP_MONITOR_NS 500000000ull
#define UP_SCHEME "vfio-user:"
#define UP_SCHEME_VFIO "vfio:"

#define CLI_STRUCT cli_up_opts
static const struct cli_opt up_opts[] = { CLI_UP_OPTIONS(CLI_ROW) };
#undef CLI_STRUCT
#define CLI_STRUCT cli_down_opts
static const struct cli_opt down_opts[] = { CLI_DOWN_OPTIONS(CLI_ROW) };
#undef CLI_STRUCT

const struct cli_usage cli_up_usage = {
	.synopsis = "--nic ADDR --nic ADDR... [OPTIONS]",
	.description =
		"Introduces NICs to each other: resets and configures them, maps each one's memory into the others, sets pairs or"
		" the bridge, and ends when every NIC sees every other. From then on they forward without it. In bn, whose host"
		" part is this process, --monitor is needed and the NICs stop when it ends.\n\n"
		"NICs that run already are adopted: they keep what they run with and lose no frame; options given by name must"
		" agree, except --pair, which replaces the pairs. A NIC that was restarted is"
		" introduced to the others anew; give the NICs in the same order as before. A mesh begun with --max-nics grows by another `up`"
		" that names the new ones behind the rest, and shrinks by one that leaves out those that have been stopped.\n\n"
		"PCI functions (vfio:) are reset by the kernel when nobody holds them any more: the command stays, asleep, until SIGINT or"
		" SIGTERM, and then brings them down. Another `up` for the same NICs takes over from it without losing a frame; under systemd the"
		" descriptors are kept in its store. They must be bound to vfio-pci, which `p2pnic bind` does.\n\n"
		"A NIC's name, for --pair, is its PCI address or its socket's file name without .sock (nic0, nic1, ... where two are alike). Without"
		" --pair, --bridge and --route, two NICs with equally many ports are paired port by port, and everything else is bridged.",
	.examples = "  p2pnic up --nic vfio-user:/tmp/a --nic vfio-user:/tmp/b\n"
		    "  p2pnic up --nic vfio-user:/tmp/a --nic vfio-user:/tmp/b --mode rd --pair a.0=b.0 --monitor\n"
		    "  p2pnic up --nic vfio-user:/tmp/a --nic vfio-user:/tmp/b --bridge --max-nics 8\n"
		    "  p2pnic up --nic vfio-user:/tmp/a --nic vfio-user:/tmp/b --nic vfio-user:/tmp/c\n"
		    "  p2pnic up --nic vfio:0000:03:00.0 --nic vfio:0000:04:00.0\n",
	.table = { up_opts, sizeof(up_opts) / sizeof(up_opts[0]) },
};

const struct cli_usage cli_down_usage = {
	.synopsis = "--nic ADDR... [--json]",
	.description = "Stops forwarding on all NICs given, then resets each: it forgets its peers and stops running on its own.",
	.examples = "  p2pnic down --nic vfio-user:/tmp/a --nic vfio-user:/tmp/b\n",
	.table = { down_opts, sizeof(down_opts) / sizeof(down_opts[0]) },
};

const struct cli_usage cli_reset_usage = {
	.synopsis = "--nic ADDR... [--json]",
	.description = "Resets each NIC as it is. Its peers see it go down; `p2pnic up` brings it back.",
	.examples = "  p2pnic reset --nic vfio-user:/tmp/b\n",
	.table = { down_opts, sizeof(down_opts) / sizeof(down_opts[0]) },
};

static int up_addr_parse_vfio(struct up_addr *a, const char *text, char err[CLI_ERR_MAX])
{
	if (pci_addr_parse(text + strlen(UP_SCHEME_VFIO), a->path)) {
		snprintf(err, CLI_ERR_MAX, "--nic %.100s: give a PCI address, as " UP_SCHEME_VFIO "0000:03:00.0", text);
		return -EINVAL;
	}
	a->vfio = true;
	snprintf(a->name, sizeof(a->name), "%.60s", a->path);
	return 0;
}

static int up_addr_parse(struct up_addr *a, const char *text, char err[CLI_ERR_MAX])
{
	const char *base;
	size_t len;
	int rc;

	if (!strncmp(text, UP_SCHEME_VFIO, strlen(UP_SCHEME_VFIO)))
		return up_addr_parse_vfio(a, text, err);
	if (strncmp(text, UP_SCHEME, strlen(UP_SCHEME)) || !text[strlen(UP_SCHEME)]) {
		snprintf(err, CLI_ERR_MAX, "--nic %.100s: give " UP_SCHEME "PATH, the --socket of a `p2pnic nic`, or " UP_SCHEME_VFIO
			 "DDDD:BB:DD.F, the address of a PCI function", text);
		return -EINVAL;
	}
	rc = cli_socket_path(a->path, sizeof(a->path), text + strlen(UP_SCHEME), NULL, err);
	if (rc)
		return -EINVAL;
	base = strrchr(a->path, '/');
	base = base ? base + 1 : a->path;
	len = strlen(base);
	if (len > 5 && !strcmp(base + len - 5, ".sock"))
		len -= 5;
	snprintf(a->name, sizeof(a->name), "%.*s", (int)(len < 63 ? len : 63), base);
	if (stat(a->path, &a->st))
		memset(&a->st, 0, sizeof(a->st));
	return 0;
}

static void up_addr_names(struct up_addr *a, unsigned int n)
{
	bool alike[P2P_MAX_NICS] = { false };
	unsigned int i, j;

	for (i = 0; i < n; i++)
		for (j = 0; j < n; j++)
			if (i != j && !strcmp(a[i].name, a[j].name))
				alike[i] = true;
	for (i = 0; i < n; i++)
		if (alike[i])
			snprintf(a[i].name, sizeof(a[i].name), "nic%u", i);
}

int up_addrs(struct up_addr *a, const struct cli_list *list, char err[CLI_ERR_MAX])
{
	unsigned int i, j;
	int rc;

	if (!list->n || list->n > P2P_MAX_NICS) {
		snprintf(err, CLI_ERR_MAX, "give 1 to %d NICs with --nic " UP_SCHEME "PATH", P2P_MAX_NICS);
		return -EINVAL;
	}
	for (i = 0; i < list->n; i++) {
		rc = up_addr_parse(&a[i], list->item[i].text, err);
		if (rc)
			return rc;
		if (a[i].vfio != a[0].vfio) {
			snprintf(err, CLI_ERR_MAX, "--nic %.100s and --nic %.100s: software NICs and PCI functions don't share an address"
				 " space; give NICs of one kind", list->item[0].text, list->item[i].text);
			return -EINVAL;
		}
		for (j = 0; j < i; j++) {
			if (!strcmp(a[i].path, a[j].path) ||
			    (a[i].st.st_ino && a[i].st.st_ino == a[j].st.st_ino && a[i].st.st_dev == a[j].st.st_dev)) {
				snprintf(err, CLI_ERR_MAX, "--nic %.100s and --nic %.100s are one NIC; name each once",
					 list->item[j].text, list->item[i].text);
				return -EINVAL;
			}
		}
	}
	up_addr_names(a, list->n);
	return 0;
}

int up_open(struct drv *d, const struct up_addr *a, char err[CLI_ERR_MAX])
{
	char why[DRV_ERR_MAX] = "out of memory", name[DRV_NAME_MAX];
	struct vfio_container *c = NULL;
	struct transport *t;
	int rc;

	if (a->vfio) {
		c = drv_vfio(d);
		rc = c ? transport_vfio_open(&t, c, a->path, why) : -ENOMEM;
	} else {
		rc = transport_vfio_user_open(&t, a->path, why);
	}
	if (rc) {
		snprintf(err, CLI_ERR_MAX, "%s", why);
		return rc;
	}
	snprintf(name, sizeof(name), "%s%.110s", a->vfio ? UP_SCHEME_VFIO : UP_SCHEME, a->path);
	rc = drv_add(d, t, name);
	if (rc)
		snprintf(err, CLI_ERR_MAX, "%s", drv_error(d));
	return rc;
}

int up_introduce(struct drv *d, const struct up_addr *a, const struct cli_driver_opts *part, uint32_t max_nics,
		 char err[CLI_ERR_MAX])
{
	static struct drv_pair pairs[CLI_MAX_PAIRS];
	const char *names[P2P_MAX_NICS];
	unsigned int ports[P2P_MAX_NICS], i;
	struct drv_opts opts;
	int rc;

	for (i = 0; i < d->n; i++) {
		names[i] = a[i].name;
		ports[i] = d->nic[i].ports;
	}
	rc = cli_driver_opts(&opts, pairs, part, names, ports, d->n, err);
	if (rc)
		return rc;
	opts.persist = opts.mode != P2P_MODE_BN;
	opts.max_nics = max_nics;
	if (drv_held(d) && !part->scrub_set)
		opts.scrub = true; /* PCI Express may lose writes, shared memory doesn't */
	rc = drv_bring_up(d, &opts);
	if (rc)
		snprintf(err, CLI_ERR_MAX, "%s", drv_error(d));
	return rc;
}

static void up_report(struct drv *d, const struct up_addr *a, bool json)
{
	static const char *const modes[] = { "wr", "rd", "bn" };
	struct json_object *o, *list, *nic;
	unsigned int i;

	if (!json) {
		printf("%u NIC%s up in %s, %u slots: %u introduced, %u adopted\n", d->n, d->n == 1 ? "" : "s",
		       modes[d->opts.mode], d->slots, d->introduced, d->adopted);
		fflush(stdout);
		return;
	}
	o = json_object_new_object();
	list = json_object_new_array();
	for (i = 0; i < d->n; i++) {
		nic = json_object_new_object();
		json_object_object_add(nic, "name", json_object_new_string(a[i].name));
		json_object_object_add(nic, "address", json_object_new_string(d->nic[i].name));
		json_object_object_add(nic, "index", json_object_new_int((int)d->nic[i].index));
		json_object_object_add(nic, "ports", json_object_new_int((int)d->nic[i].ports));
		json_object_array_add(list, nic);
	}
	json_object_object_add(o, "mode", json_object_new_string(modes[d->opts.mode]));
	json_object_object_add(o, "slots", json_object_new_int((int)d->slots));
	json_object_object_add(o, "introduced", json_object_new_int((int)d->introduced));
	json_object_object_add(o, "adopted", json_object_new_int((int)d->adopted));
	json_object_object_add(o, "nics", list);
	show_print_json(o, stdout);
	fflush(stdout);
	json_object_put(o);
}

/* Says once what changes between two NICs. */
struct up_watch {
	const struct up_addr *a;
	uint32_t last[P2P_MAX_NICS][P2P_MAX_NICS]; /* by the NICs' numbers */
};

static const char *up_name(const struct up_watch *w, const struct drv *d, unsigned int i)
{
	unsigned int k;

	for (k = 0; k < P2P_MAX_NICS; k++)
		if (strstr(d->nic[i].name, w->a[k].path) && *w->a[k].path)
			return w->a[k].name;
	return d->nic[i].name;
}

static void up_watch_once(struct drv *d, void *arg)
{
	static const char *const states[] = { "is absent", "is awaited", "is up", "is down", "can't be asked" };
	struct up_watch *w = arg;
	struct drv_peers peers;
	unsigned int i, j;

	for (i = 0; i < d->n; i++) {
		drv_peers(d, i, &peers);
		for (j = 0; j < d->n; j++) {
			uint32_t *last = &w->last[d->nic[i].index][d->nic[j].index];

			if (i == j || peers.state[j] == *last)
				continue;
			*last = peers.state[j];
			cli_note("up", "seen from %s, %s %s", up_name(w, d, i), up_name(w, d, j),
				 states[peers.state[j] > P2P_PEER_DOWN ? 4 : peers.state[j]]);
		}
	}
}

/* Until a signal, or until others have the NICs; what is then ours to bring down is brought down. */
static void up_stay(struct hold *h, struct drv *d, const struct up_addr *a, bool monitor, bool host)
{
	static struct up_watch w;
	unsigned int i, j;

	w.a = a;
	for (i = 0; i < P2P_MAX_NICS; i++)
		for (j = 0; j < P2P_MAX_NICS; j++)
			w.last[i][j] = P2P_PEER_UP;
	h->alone = host;
	if (drv_held(d)) {
		if (hold_run(h, d, monitor ? up_watch_once : NULL, &w))
			drv_down(d);
		return;
	}
	while (monitor && !cli_signal_wait(UP_MONITOR_NS))
		up_watch_once(d, &w);
	if (host)
		drv_down(d);
}

int up_open_all(struct hold *h, struct drv *d, const struct up_addr *a, unsigned int n, char err[CLI_ERR_MAX])
{
	unsigned int i;
	int rc;

	rc = hold_take(h, d, a, n, err);
	for (i = 0; !rc && i < n; i++)
		rc = up_open(d, &a[i], err);
	return rc;
}

static int up_run(struct drv *d, const struct up_addr *a, const struct cli_up_opts *o, const struct sock_trust *trust,
		  char err[CLI_ERR_MAX])
{
	double timeout = o->timeout_set ? o->timeout : UP_READY_S;
	struct cli_driver_opts part = { 0 };
	struct bn_task *host = NULL;
	struct hold h = HOLD_INIT;
	int rc;

	h.trust = *trust;
	rc = up_open_all(&h, d, a, o->nic.n, err);
	cli_driver_part(&part, o);
	if (!rc)
		rc = up_introduce(d, a, &part, (uint32_t)o->max_nics, err);
	if (rc) {
		hold_end(&h);
		return rc;
	}
	rc = bn_create(&host, d, drv_held(d), err);
	if (!rc && host)
		rc = bn_start(host, err);
	if (!rc) {
		rc = drv_wait_ready(d, (uint64_t)(timeout * 1e9));
		if (rc)
			snprintf(err, CLI_ERR_MAX, "%s", drv_error(d));
	}
	if (rc) {
		if (!d->adopted)
			drv_reset(d);
	} else {
		hold_taken(&h, d);
		if (*d->note)
			cli_note("up", "%s", d->note);
		up_report(d, a, o->json);
		up_stay(&h, d, a, o->monitor, host != NULL);
		if (host)
			bn_print(host, stderr);
	}
	hold_end(&h);
	bn_destroy(host);
	return rc;
}

/* Of `up` alone those have a socket that it holds. */
static int up_trust(struct sock_trust *t, const struct cli_up_opts *o, const struct up_addr *a, char err[CLI_ERR_MAX])
{
	if (o->group_set && !a[0].vfio) {
		snprintf(err, CLI_ERR_MAX, "--group is for NICs of vfio:; for those of vfio-user: give it to `p2pnic nic`");
		return -EINVAL;
	}
	return cli_trust(t, o->group_set, o->group, err);
}

int cli_up(int argc, char **argv)
{
	static struct cli_up_opts o;
	struct sock_trust trust;
	static struct up_addr a[P2P_MAX_NICS];
	char err[CLI_ERR_MAX];
	unsigned int words;
	struct drv *d;
	bool help;
	int rc;

	if (cli_parse(&cli_up_usage.table, &o, argc, argv, NULL, 0, &words, &help, err)) {
		cli_error("up", "%s", err);
		return CLI_USAGE;
	}
	if (help) {
		cli_help_print(cli_command("up"), stdout);
		return CLI_OK;
	}
	rc = up_addrs(a, &o.nic, err);
	if (!rc && o.mode_set && o.mode == P2P_MODE_BN && !o.monitor) {
		snprintf(err, CLI_ERR_MAX, "--mode bn needs this process as its host part; add --monitor");
		rc = -EINVAL;
	}
	if (!rc)
		rc = up_trust(&trust, &o, a, err);
	if (rc) {
		cli_error("up", "%s", err);
		return CLI_USAGE;
	}
	cli_signals_block();
	if (drv_create(&d)) {
		cli_error("up", "out of memory");
		return CLI_FAILED;
	}
	rc = up_run(d, a, &o, &trust, err);
	if (rc)
		cli_error("up", "%s", err);
	drv_destroy(d);
	return rc ? CLI_FAILED : CLI_OK;
}

/* Each NIC by itself: one that is gone does not keep the others up. */
static int down_all(const char *command, struct drv *d, const struct up_addr *a, unsigned int n, bool stop)
{
	struct hold h = HOLD_INIT;
	char err[CLI_ERR_MAX];
	unsigned int i;
	int rc, first = 0;

	rc = hold_take(&h, d, a, n, err);
	if (rc) {
		cli_error(command, "%s", err);
		hold_end(&h);
		return rc;
	}
	for (i = 0; i < n; i++) {
		rc = up_open(d, &a[i], err);
		if (rc) {
			cli_error(command, "%s", err);
			first = first ? first : rc;
		}
	}
	rc = !d->n ? 0 : stop ? drv_down(d) : drv_reset(d);
	if (rc) {
		cli_error(command, "%s", drv_error(d));
		first = first ? first : rc;
	}
	if (d->n && stop)
		hold_taken(&h, d);
	hold_end(&h);
	return first;
}

static int down_run(const struct cli_usage *usage, int argc, char **argv, bool stop)
{
	static struct cli_down_opts o;
	static struct up_addr a[P2P_MAX_NICS];
	const char *command = argv[0];
	struct json_object *out;
	char err[CLI_ERR_MAX];
	unsigned int words, done;
	struct drv *d;
	bool help;
	int rc;

	if (cli_parse(&usage->table, &o, argc, argv, NULL, 0, &words, &help, err)) {
		cli_error(command, "%s", err);
		return CLI_USAGE;
	}
	if (help) {
		cli_help_print(cli_command(command), stdout);
		return CLI_OK;
	}
	if (up_addrs(a, &o.nic, err)) {
		cli_error(command, "%s", err);
		return CLI_USAGE;
	}
	cli_signals_block();
	if (drv_create(&d)) {
		cli_error(command, "out of memory");
		return CLI_FAILED;
	}
	rc = down_all(command, d, a, o.nic.n, stop);
	done = d->n;
	drv_destroy(d);
	if (o.json) {
		out = json_object_new_object();
		json_object_object_add(out, stop ? "stopped" : "reset", json_object_new_int((int)done));
		show_print_json(out, stdout);
		json_object_put(out);
	}
	return rc ? CLI_FAILED : CLI_OK;
}

int cli_down(int argc, char **argv)
{
	return down_run(&cli_down_usage, argc, argv, true);
}

int cli_reset(int argc, char **argv)
{
	return down_run(&cli_reset_usage, argc, argv, false);
}
