/* SPDX-License-Identifier: BSD-3-Clause */
/* `p2pnic router`: the driver that stays, and follows the kernel. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/hold.h"
#include "cli/routing.h"
#include "cli/up.h"

#define ROUTER_READY_S 5.0
#define ROUTER_TICK_NS 1000000000ull

#define CLI_STRUCT cli_router_opts
static const struct cli_opt router_opts_[] = { CLI_ROUTER_OPTIONS(CLI_ROW) };
#undef CLI_STRUCT

const struct cli_usage cli_router_usage = {
	.synopsis = "--nic ADDR --nic ADDR... [OPTIONS]",
	.description =
		"Makes NICs route as the kernel of this network namespace would: its routes, neighbours, addresses and links are"
		" followed into the NICs' tables, and what NICs can't do themselves (packets to this host, ARP and neighbour"
		" discovery, ICMP errors, neighbours not known yet) comes to the kernel through one device for each port, whose"
		" output leaves by that port. Addresses are given to these devices; `ip`, FRR and BIRD work as with any.\n\n"
		"NICs that `p2pnic up --route` has brought up are adopted; those that do not run are introduced as `up` would do, with"
		" the same options. It stays until SIGINT or SIGTERM.\n\n"
		"Rules of `ip rule` beyond the usual ones, and VRF tables, are not followed: the router says so in one line when there are any,"
		" and `p2pnic show router` counts them (policy_rules).\n\n"
		"If it dies, NICs route on with the last tables, and count what would have gone to the kernel (`p2pnic show drops`:"
		" punt_full). The ports' devices stay, without carrier. Started again it takes over devices and tables: packets that the"
		" NICs forward are not lost for it. Ended by a signal it removes the devices, and with them the kernel's routes; with"
		" --keep it leaves them.\n\n"
		"PCI functions (vfio:) forward only while a process holds them: the router takes them over from `up` or from a former router and"
		" holds them in its place, as `up` does. Ended by a signal it brings them down; when another process takes over it leaves devices and"
		" tables to that. Colons of a NIC's name are '_' in those of devices.",
	.examples = "  p2pnic up --route --nic vfio-user:/tmp/a --nic vfio-user:/tmp/b\n"
		    "  p2pnic router --nic vfio-user:/tmp/a --nic vfio-user:/tmp/b &\n"
		    "  ip addr add 192.0.2.1/24 dev ap0\n",
	.table = { router_opts_, sizeof(router_opts_) / sizeof(router_opts_[0]) },
};

static int router_bring_up(struct hold *h, struct drv *d, const struct up_addr *a, const struct cli_router_opts *o,
			   char err[CLI_ERR_MAX])
{
	struct cli_driver_opts part = { 0 };
	double timeout = o->timeout_set ? o->timeout : ROUTER_READY_S;
	int rc;

	cli_driver_part(&part, o);
	part.route = part.route_set = true;
	rc = up_open_all(h, d, a, o->nic.n, err);
	if (!rc)
		rc = up_introduce(d, a, &part, (uint32_t)o->max_nics, err);
	if (rc)
		return rc;
	rc = drv_wait_ready(d, (uint64_t)(timeout * 1e9));
	if (rc)
		snprintf(err, CLI_ERR_MAX, "%s", drv_error(d));
	return rc;
}

/* The kernel takes a PCI function: the driver is not the router's any more. */
static void router_quiet(void *arg)
{
	struct router **router = arg;

	if (!*router)
		return;
	cli_note("router", "the NICs that stay route on with their last tables; start a router anew when all are back");
	router_keep(*router);
	routing_stop(*router);
	*router = NULL;
}

/*
 * Until a signal, or until another process has the NICs.  The driver is the router's threads' meanwhile; of it hold_run() has only
 * what they don't touch: the descriptors, and the interrupts that tell of errors and of the kernel's wish.  NICs go when
 * router_quiet() was called.
 */
static void router_stay(struct hold *h, struct drv *d, struct router *router)
{
	bool ours;

	if (!drv_held(d)) {
		while (!cli_signal_wait(ROUTER_TICK_NS))
			;
		routing_stop(router);
		return;
	}
	h->who = "router";
	h->quiet = router_quiet;
	h->arg = &router;
	ours = hold_run(h, d, NULL, NULL);
	if (router && !ours)
		router_keep(router);
	routing_stop(router);
	if (ours)
		drv_down(d);
}

static int router_run(struct drv *d, const struct up_addr *a, const struct cli_router_opts *o, const struct sock_trust *trust,
		      char err[CLI_ERR_MAX])
{
	struct sock_listener questions = { .fd = -1 };
	const char *names[P2P_MAX_NICS];
	struct router *router = NULL;
	struct hold h = HOLD_INIT;
	unsigned int i;
	int rc;

	rc = router_bring_up(&h, d, a, o, err);
	/* The former process may be a router too, and devices are one process's: it ends first. */
	if (!rc)
		hold_taken(&h, d);
	else
		hold_end(&h);
	for (i = 0; i < d->n; i++)
		names[i] = a[i].name;
	if (!rc)
		rc = routing_listen(&questions, o->router_socket_set ? o->router_socket : NULL, trust, err);
	if (!rc)
		rc = routing_start(&router, d, names, &o->tap, &questions, o->keep, err);
	if (rc) {
		sock_close(&questions);
		return rc;
	}
	if (*d->note)
		cli_note("router", "%s", d->note);
	printf("routing: %u NIC%s, %u introduced, %u adopted\n", d->n, d->n == 1 ? "" : "s", d->introduced, d->adopted);
	fflush(stdout);
	router_stay(&h, d, router);
	sock_close(&questions);
	hold_end(&h);
	return 0;
}

int cli_router(int argc, char **argv)
{
	static struct cli_router_opts o;
	static struct up_addr a[P2P_MAX_NICS];
	char err[CLI_ERR_MAX];
	unsigned int words;
	struct sock_trust trust;
	struct drv *d;
	bool help;
	int rc;

	if (cli_parse(&cli_router_usage.table, &o, argc, argv, NULL, 0, &words, &help, err)) {
		cli_error("router", "%s", err);
		return CLI_USAGE;
	}
	if (help) {
		cli_help_print(cli_command("router"), stdout);
		return CLI_OK;
	}
	if (routing_built(err)) {
		cli_error("router", "%s", err);
		return CLI_FAILED;
	}
	if (up_addrs(a, &o.nic, err) || cli_trust(&trust, o.group_set, o.group, err)) {
		cli_error("router", "%s", err);
		return CLI_USAGE;
	}
	cli_signals_block();
	if (drv_create(&d)) {
		cli_error("router", "out of memory");
		return CLI_FAILED;
	}
	rc = router_run(d, a, &o, &trust, err);
	if (rc)
		cli_error("router", "%s", err);
	drv_destroy(d);
	return rc ? CLI_FAILED : CLI_OK;
}
