/* SPDX-License-Identifier: BSD-3-Clause */
/* bind, unbind: which driver of the kernel has a PCI function. */
#include <errno.h>
#include <string.h>

#include <json-c/json.h>

#include "cli/cli.h"
#include "cli/options.h"
#include "cli/show_table.h"
#include "driver/pci_sysfs.h"

#define BIND_MAX 32
#define BIND_SCHEME "vfio:"

#define CLI_STRUCT cli_bind_opts
static const struct cli_opt bind_opts[] = { CLI_BIND_OPTIONS(CLI_ROW) };
#undef CLI_STRUCT

const struct cli_usage cli_bind_usage = {
	.synopsis = "ADDRESS... [OPTIONS]",
	.description =
		"Gives PCI functions to the kernel's vfio-pci, from which `p2pnic up --nic vfio:ADDRESS` takes them. Only the functions named are"
		" touched (driver_override). A function whose network device is up or carries an address is refused: it may be the one that"
		" you are logged in through. If vfio-pci does not take a function, it goes back to the driver that it had.",
	.examples = "  p2pnic bind 0000:03:00.0 0000:04:00.0\n",
	.table = { bind_opts, sizeof(bind_opts) / sizeof(bind_opts[0]) },
};

const struct cli_usage cli_unbind_usage = {
	.synopsis = "ADDRESS... [OPTIONS]",
	.description =
		"Takes PCI functions from vfio-pci and lets the kernel choose their driver again. A function that a process holds (`p2pnic up`)"
		" is refused; --force asks that process to let go of it: `p2pnic up` does, and the other NICs stop using it.",
	.examples = "  p2pnic unbind 0000:03:00.0 0000:04:00.0\n",
	.table = { bind_opts, sizeof(bind_opts) / sizeof(bind_opts[0]) },
};

static int bind_all(const char *command, const struct cli_bind_opts *o, char addr[BIND_MAX][PCI_ADDR_BYTES], unsigned int n, bool bind)
{
	const char *root = o->sysfs_set ? o->sysfs : PCI_SYSFS;
	struct json_object *out = json_object_new_object(), *list = json_object_new_array();
	char err[PCI_ERR_BYTES];
	bool changed;
	unsigned int i;
	int rc = 0, first = 0;

	for (i = 0; i < n; i++) {
		rc = bind ? pci_bind(root, addr[i], o->force, &changed, err) : pci_unbind(root, addr[i], o->force, &changed, err);
		if (rc) {
			cli_error(command, "%s", err);
			first = first ? first : rc;
		} else if (changed) {
			json_object_array_add(list, json_object_new_string(addr[i]));
		}
	}
	json_object_object_add(out, bind ? "bound" : "unbound", list);
	if (o->json)
		show_print_json(out, stdout);
	json_object_put(out);
	return first ? CLI_FAILED : CLI_OK;
}

static int bind_run(const struct cli_usage *usage, int argc, char **argv, bool bind)
{
	char addr[BIND_MAX][PCI_ADDR_BYTES], err[CLI_ERR_MAX];
	struct cli_bind_opts o = { 0 };
	const char *word[BIND_MAX], *command = argv[0], *text;
	unsigned int words, i;
	bool help;

	if (cli_parse(&usage->table, &o, argc, argv, word, BIND_MAX, &words, &help, err)) {
		cli_error(command, "%s", err);
		return CLI_USAGE;
	}
	if (help) {
		cli_help_print(cli_command(command), stdout);
		return CLI_OK;
	}
	if (!words) {
		cli_error(command, "give the PCI addresses of the functions, as 0000:03:00.0");
		return CLI_USAGE;
	}
	for (i = 0; i < words; i++) {
		text = strncmp(word[i], BIND_SCHEME, strlen(BIND_SCHEME)) ? word[i] : word[i] + strlen(BIND_SCHEME);
		if (pci_addr_parse(text, addr[i])) {
			cli_error(command, "'%.100s' is no PCI address; give one as 0000:03:00.0", word[i]);
			return CLI_USAGE;
		}
	}
	return bind_all(command, &o, addr, words, bind);
}

int cli_bind(int argc, char **argv)
{
	return bind_run(&cli_bind_usage, argc, argv, true);
}

int cli_unbind(int argc, char **argv)
{
	return bind_run(&cli_unbind_usage, argc, argv, false);
}
