/* SPDX-License-Identifier: BSD-3-Clause */
/* --help and the manual pages, from the tables. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "ports/port.h"

#define HELP_COLUMN 30
#define HELP_WIDTH 96

/* Text from `column` on, broken at blanks. */
static void help_wrap(FILE *f, const char *text, int column)
{
	int at = column;

	while (*text) {
		int len = (int)strcspn(text, " ");

		if (at > column && at + 1 + len > HELP_WIDTH) {
			fprintf(f, "\n%*s", column, "");
			at = column;
		} else if (at > column) {
			fputc(' ', f);
			at++;
		}
		fprintf(f, "%.*s", len, text);
		at += len;
		text += len;
		text += *text == ' ';
	}
	fputc('\n', f);
}

static void help_options(const struct cli_table *t, FILE *f)
{
	unsigned int i;

	for (i = 0; i < t->n; i++) {
		const struct cli_opt *o = &t->opt[i];
		char head[96];
		int n;

		n = snprintf(head, sizeof(head), "  %c%c%s--%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
			     o->letter ? ", " : "  ", o->name, *o->meta ? " " : "", o->meta);
		if (n >= HELP_COLUMN - 1)
			fprintf(f, "%s\n%*s", head, HELP_COLUMN, "");
		else
			fprintf(f, "%-*s", HELP_COLUMN, head);
		help_wrap(f, o->help, HELP_COLUMN);
	}
	fprintf(f, "%-*s", HELP_COLUMN, "  -h, --help");
	help_wrap(f, "print this", HELP_COLUMN);
}

static bool help_takes_ports(const struct cli_usage *u)
{
	return cli_find(&u->table, "port") != NULL;
}

static void help_paragraphs(const char *text, FILE *f)
{
	char para[2048];
	const char *end;

	while (*text) {
		end = strstr(text, "\n\n");
		snprintf(para, sizeof(para), "%.*s", end ? (int)(end - text) : (int)strlen(text), text);
		help_wrap(f, para, 0);
		text = end ? end + 2 : text + strlen(text);
		if (*text)
			fputc('\n', f);
	}
}

void cli_help_all(FILE *f)
{
	const struct cli_cmd *c;

	fprintf(f, "usage: p2pnic COMMAND [OPTIONS]\n\nNICs that move packets into each other's memory.\n\n");
	for (c = cli_commands; c->name; c++)
		fprintf(f, "  %-10s %s\n", c->name, c->help);
	fprintf(f, "\n`p2pnic COMMAND --help` tells its options.\n");
}

static void help_commands(const struct cli_cmd *sub, FILE *f)
{
	const struct cli_cmd *c;

	fprintf(f, "\nCommands:\n");
	for (c = sub; c->name; c++) {
		fprintf(f, "  %-18s ", c->name);
		help_wrap(f, c->help, 21);
	}
}

void cli_help_print(const struct cli_cmd *cmd, FILE *f)
{
	const struct cli_usage *u = cmd->usage;
	unsigned int i;

	fprintf(f, "usage: p2pnic %s %s\n\n", cmd->name, u ? u->synopsis : "");
	if (!u) {
		help_wrap(f, cmd->help, 0);
		return;
	}
	help_paragraphs(u->description, f);
	if (cmd->sub)
		help_commands(cmd->sub, f);
	fprintf(f, "\nOptions:\n");
	help_options(&u->table, f);
	if (help_takes_ports(u)) {
		fprintf(f, "\nPort SPEC:\n");
		for (i = 0; port_schemes[i]; i++) {
			fprintf(f, "  ");
			help_wrap(f, port_schemes[i]->help, 2);
		}
	}
	if (u->examples)
		fprintf(f, "\nExamples:\n%s", u->examples);
}

/* roff: a backslash or a leading dot would be taken for more than text; '-' must be one that can be copied. */
static void man_text(FILE *f, const char *text)
{
	bool line_start = true;

	for (; *text; text++) {
		if (line_start && (*text == '.' || *text == '\''))
			fputs("\\&", f);
		if (*text == '\\')
			fputs("\\e", f);
		else if (*text == '-')
			fputs("\\-", f);
		else
			fputc(*text, f);
		line_start = *text == '\n';
	}
}

static void man_paragraphs(FILE *f, const char *text)
{
	const char *end;

	while (*text) {
		end = strstr(text, "\n\n");
		fputs(".PP\n", f);
		{
			char para[2048];

			snprintf(para, sizeof(para), "%.*s", end ? (int)(end - text) : (int)strlen(text), text);
			man_text(f, para);
		}
		fputc('\n', f);
		text = end ? end + 2 : text + strlen(text);
	}
}

static void man_options(FILE *f, const struct cli_table *t)
{
	unsigned int i;

	fputs(".SH OPTIONS\n", f);
	for (i = 0; i < t->n; i++) {
		const struct cli_opt *o = &t->opt[i];

		fputs(".TP\n", f);
		if (o->letter)
			fprintf(f, "\\fB\\-%c\\fR, ", o->letter);
		fputs("\\fB\\-\\-", f);
		man_text(f, o->name);
		fputs("\\fR", f);
		if (*o->meta) {
			fputs(" \\fI", f);
			man_text(f, o->meta);
			fputs("\\fR", f);
		}
		fputc('\n', f);
		man_text(f, o->help);
		fputc('\n', f);
	}
	fputs(".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nprint a summary\n", f);
}

static void man_head(FILE *f, const char *name, const char *help)
{
	char upper[64];
	unsigned int i;

	for (i = 0; name[i] && i < sizeof(upper) - 1; i++)
		upper[i] = (char)toupper((unsigned char)name[i]);
	upper[i] = '\0';
	fprintf(f, ".\\\" SPDX-License-Identifier: BSD-3-Clause\n.\\\" Made by `p2pnic help --man`; edit the tables in cli/.\n");
	fprintf(f, ".TH %s 1 \"\" \"P2PNIC\"\n.SH NAME\n", upper);
	man_text(f, name);
	fputs(" \\- ", f);
	man_text(f, help);
	fputc('\n', f);
}

/* A page's name: p2pnic, and the command's words, with dashes between. */
static void man_page(char *page, size_t size, const char *name)
{
	char *s;

	snprintf(page, size, "p2pnic-%s", name);
	for (s = page; *s; s++)
		if (*s == ' ')
			*s = '-';
}

static void man_see(FILE *f, const char *name)
{
	char page[64];

	man_page(page, sizeof(page), name);
	fputs(".BR ", f);
	man_text(f, page);
	fputs(" (1)\n", f);
}

static void man_all(FILE *f)
{
	const struct cli_cmd *c;

	man_head(f, "p2pnic", "NICs that move packets into each other's memory");
	fputs(".SH SYNOPSIS\n\\fBp2pnic\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR]\n.SH COMMANDS\n", f);
	for (c = cli_commands; c->name; c++) {
		fprintf(f, ".TP\n\\fB%s\\fR\n", c->name);
		man_text(f, c->help);
		fputc('\n', f);
	}
	fputs(".SH EXIT STATUS\n0: done; 1: it could not be done; 2: it was asked for wrongly.\n"
	      ".SH ENVIRONMENT\n.TP\n\\fBP2PNIC_RUNTIME_DIR\\fR\nwhere sockets named without a slash and control sockets live;"
	      " otherwise /run/p2pnic for root, $XDG_RUNTIME_DIR/p2pnic, or /tmp/p2pnic\\-UID\n.SH SEE ALSO\n", f);
	for (c = cli_commands; c->name; c++)
		if (c->usage && c->run != cli_help)
			man_see(f, c->name);
}

static void man_commands(FILE *f, const struct cli_cmd *sub)
{
	const struct cli_cmd *c;

	fputs(".SH COMMANDS\n", f);
	for (c = sub; c->name; c++) {
		fprintf(f, ".TP\n\\fB%s\\fR\n", c->name);
		man_text(f, c->help);
		fputc('\n', f);
	}
}

void cli_man_print(const struct cli_cmd *cmd, FILE *f)
{
	const struct cli_usage *u;
	const struct cli_cmd *c;
	char name[64];
	unsigned int i;

	if (!cmd) {
		man_all(f);
		return;
	}
	u = cmd->usage;
	man_page(name, sizeof(name), cmd->name);
	man_head(f, name, cmd->help);
	fprintf(f, ".SH SYNOPSIS\n\\fBp2pnic %s\\fR ", cmd->name);
	man_text(f, u ? u->synopsis : "");
	fputs("\n.SH DESCRIPTION\n", f);
	man_paragraphs(f, u ? u->description : cmd->help);
	if (cmd->sub)
		man_commands(f, cmd->sub);
	if (u)
		man_options(f, &u->table);
	if (u && help_takes_ports(u)) {
		fputs(".SH PORTS\n", f);
		for (i = 0; port_schemes[i]; i++) {
			fputs(".PP\n", f);
			man_text(f, port_schemes[i]->help);
			fputc('\n', f);
		}
	}
	if (u && u->examples) {
		fputs(".SH EXAMPLES\n.nf\n", f);
		man_text(f, u->examples);
		fputs(".fi\n", f);
	}
	fputs(".SH EXIT STATUS\n0: done; 1: it could not be done; 2: it was asked for wrongly.\n.SH SEE ALSO\n.BR p2pnic (1)\n", f);
	for (c = cmd->sub; c && c->name; c++)
		man_see(f, c->name);
}
