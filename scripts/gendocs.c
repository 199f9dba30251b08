/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gendocs registers|counters   prints docs/registers.md or docs/counters.md
 *
 * Made from the lists in include/p2pnic/, so that the tables can't say anything
 * else than the code.  `ninja -C build docs` writes both files.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <p2pnic/regs.h>
#include <p2pnic/layout.h>

#define RO "RO"
#define RW "RW"
#define WO "WO"
#define ST "ST"

struct reg {
	const char *name;
	uint32_t off, bytes;
	const char *access;
	uint64_t reset;
	const char *desc;
};

#define X(name, off, bytes, access, reset, desc) { #name, off, bytes, access, reset, desc },
static const struct reg regs[] = { P2P_REGS(X) };
static const struct reg port_regs[] = { P2P_PORT_REGS(X) };
static const struct reg peer_regs[] = { P2P_PEER_REGS(X) };
#undef X

struct counter {
	const char *name, *desc;
};

#define X(name, desc) { #name, desc },
static const struct counter port_counters[] = { PORT_COUNTERS(X) };
static const struct counter drops[] = { P2P_DROPS(X) };
static const struct counter events[] = { P2P_EVENTS(X) };
#undef X
#define X(name, pps, desc) { #name, desc },
static const struct counter punts[] = { P2P_PUNTS(X) };
#undef X

/* A bar would end the table's cell. */
static void print_cell(const char *s)
{
	for (; *s; s++) {
		if (*s == '|')
			putchar('\\');
		putchar(*s);
	}
}

static void print_regs(const struct reg *r, size_t n)
{
	puts("\n| offset | name | bytes | access | reset | what it is |\n|---|---|---|---|---|---|");
	for (size_t i = 0; i < n; i++) {
		printf("| 0x%03x | %s | %u | %s | ", r[i].off, r[i].name, r[i].bytes, r[i].access);
		if (!strcmp(r[i].access, ST))
			printf("strap");
		else if (r[i].reset > 9)
			printf("0x%" PRIx64, r[i].reset);
		else
			printf("%" PRIu64, r[i].reset);
		printf(" | ");
		print_cell(r[i].desc);
		puts(" |");
	}
}

static void print_counters(const struct counter *c, size_t n, int block)
{
	puts(block < 0 ? "\n| name | what it counts |\n|---|---|" : "\n| offset | name | what it counts |\n|---|---|---|");
	for (size_t i = 0; i < n; i++) {
		if (block >= 0)
			printf("| 0x%04zx ", (size_t)block + 8 * i);
		printf("| %s | ", c[i].name);
		print_cell(c[i].desc);
		puts(" |");
	}
}

static void print_registers(void)
{
	puts("<!-- made by `ninja -C build docs` from include/p2pnic/regs.h; do not edit -->\n"
	     "# Registers\n\n"
	     "BAR0, 64 KiB, little-endian. A register is accessed with its own width at its own alignment;\n"
	     "anything else reads all ones and writes nothing.\n\n"
	     "Access: RO read-only; RW read and write; WO a command, reads 0; ST read-only, strapped by the board.");
	puts("\n## The NIC");
	print_regs(regs, P2P_ARRAY_SIZE(regs));
	printf("\n## Per port\n\nAt 0x%x + port * 0x%x.\n", P2P_PORT_BLOCK, P2P_PORT_BLOCK_BYTES);
	print_regs(port_regs, P2P_ARRAY_SIZE(port_regs));
	puts("\nPORT_PLACEMENT, and what `p2pnic show ports` says:\n\n| value | shown as | why |\n|---|---|---|");
#define X(name, text, desc) printf("| %d | %s | %s |\n", P2P_PLACE_##name, text, desc);
	P2P_PLACEMENTS(X)
#undef X
	printf("\n## Per peer\n\nAt 0x%x + peer * 0x%x; the NIC's own block as well.\n", P2P_PEER_BLOCK, P2P_PEER_BLOCK_BYTES);
	print_regs(peer_regs, P2P_ARRAY_SIZE(peer_regs));
	printf("\n## Counters\n\nRead-only, 8 bytes each: events from 0x%x, drops from 0x%x, punts from 0x%x, in the order of\n"
	       "[counters.md](counters.md).\n",
	       P2P_EVENT_BLOCK, P2P_DROP_BLOCK, P2P_PUNT_BLOCK);
	printf("\n## Rates of punts\n\nFrames a second that a NIC hands to the host for each reason, 4 bytes each from 0x%x; 0: no limit.\n"
	       "\n| offset | reason | reset |\n|---|---|---|\n", P2P_PUNT_RATE_BLOCK);
#define X(name, pps, desc) printf("| 0x%04x | %s | %u |\n", P2P_PUNT_RATE_BLOCK + 4 * P2P_PUNT_##name, #name, pps);
	P2P_PUNTS(X)
#undef X
	puts("\n## Segments of device memory (BAR2)\n\nSEG_KIND says which of these SEG_SELECT names.\n\n"
	     "| value | name | what it is |\n|---|---|---|");
#define X(name, text, desc) printf("| %d | %s | %s |\n", P2P_SEG_##name, text, desc);
	P2P_SEG_KINDS(X)
#undef X
}

static void print_counter_page(void)
{
	puts("<!-- made by `ninja -C build docs` from include/p2pnic/counters.h; do not edit -->\n"
	     "# Counters\n\n"
	     "The books balance: over an interval in which nothing died, the sum of `rx_frames` plus `flood_copies` plus `injected`\n"
	     "equals the sum of `tx_frames` plus `punted` plus the sum of all drops. Every drop counts whole frames.");
	puts("\n## Per port");
	print_counters(port_counters, P2P_ARRAY_SIZE(port_counters), -1);
	puts("\n## Drops, per NIC\n\nWhy an accepted frame was not sent. The offset is that of the BAR0 register.");
	print_counters(drops, P2P_ARRAY_SIZE(drops), P2P_DROP_BLOCK);
	puts("\n## Punts, per NIC\n\nWhy a frame was the kernel's, whether it got it or not.");
	print_counters(punts, P2P_ARRAY_SIZE(punts), P2P_PUNT_BLOCK);
	puts("\n## Events and bytes, per NIC");
	print_counters(events, P2P_ARRAY_SIZE(events), P2P_EVENT_BLOCK);
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "registers")) {
		print_registers();
	} else if (argc == 2 && !strcmp(argv[1], "counters")) {
		print_counter_page();
	} else {
		fprintf(stderr, "gendocs: say 'registers' or 'counters'\n");
		return 2;
	}
	return fflush(stdout) || ferror(stdout);
}
