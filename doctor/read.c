/* SPDX-License-Identifier: BSD-3-Clause */
/* From a tree to a box. */
#include <errno.h>
#include <pci/pci.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define IORESOURCE_IO 0x100u /* linux/ioport.h; `resource` shows them */
#define IORESOURCE_MEM 0x200u
#define IORESOURCE_PREFETCH 0x2000u
#define IORESOURCE_MEM_64 0x100000u
#define IORESOURCE_UNSET 0x20000000u

struct reading {
	struct doc_box *box;
	const struct doc_tree *tree;
	struct doc_dev *d;
	unsigned int room;
};

static const char *dev_path(const struct doc_dev *d, const char *file, char to[PATH_MAX])
{
	snprintf(to, PATH_MAX, "bus/pci/devices/%s/%s", d->name, file);
	return to;
}

/* A number that may be missing. */
static int read_optional(const struct doc_tree *t, const struct doc_dev *d, const char *file, long long min,
			 long long max, long long *to, char err[DOC_ERR_MAX])
{
	char path[PATH_MAX];
	int rc = doc_tree_number(t, dev_path(d, file, path), min, max, to, err);

	return rc == -ENOENT ? 0 : rc;
}

static int read_needed(const struct doc_tree *t, const struct doc_dev *d, const char *file, long long max,
		       unsigned int *to, char err[DOC_ERR_MAX])
{
	char path[PATH_MAX];
	long long v;
	int rc = doc_tree_number(t, dev_path(d, file, path), 0, max, &v, err);

	if (rc == -ENOENT) {
		snprintf(err, DOC_ERR_MAX, "%s has no file %s: the tree is truncated", d->name, file);
		return -EINVAL;
	}
	*to = rc ? 0 : (unsigned int)v;
	return rc;
}

/* "8.0 GT/s PCIe", "2.5 GT/s", "Unknown" */
static unsigned int gen_of(const char *text)
{
	static const double gt[] = {2.5, 5, 8, 16, 32, 64};
	double v = strtod(text, NULL);
	unsigned int k;

	for (k = 0; k < sizeof(gt) / sizeof(gt[0]); k++)
		if (v > gt[k] * 0.99 && v < gt[k] * 1.01)
			return k + 1;
	return 0;
}

/* What the kernel says of a link beats configuration space, which may be short. */
static int read_link(const struct doc_tree *t, struct doc_dev *d, const char *which, struct doc_link *l,
		     char err[DOC_ERR_MAX])
{
	char path[PATH_MAX], file[40], text[DOC_ATTR_MAX];
	long long width = -1;
	int rc;

	snprintf(file, sizeof(file), "%s_link_speed", which);
	rc = doc_tree_text(t, dev_path(d, file, path), text, err);
	if (!rc && gen_of(text))
		l->gen = gen_of(text);
	if (rc && rc != -ENOENT && rc != -EIO)
		return rc;
	snprintf(file, sizeof(file), "%s_link_width", which);
	rc = read_optional(t, d, file, 0, 255, &width, err);
	if (rc && rc != -EIO)
		return rc;
	if (width > 0 && width <= 32)
		l->width = (unsigned int)width;
	if (l->width > 32)
		l->width = 0;
	if (l->gen > 6)
		l->gen = 0;
	return 0;
}

static int read_resource(const struct doc_tree *t, struct doc_dev *d, char err[DOC_ERR_MAX])
{
	char path[PATH_MAX], text[DOC_ATTR_MAX], *line, *save = NULL;
	unsigned long long start, end, flags;
	unsigned int k;
	int rc = doc_tree_text(t, dev_path(d, "resource", path), text, err), used;

	if (rc == -ENOENT)
		snprintf(err, DOC_ERR_MAX, "%s has no file resource: the tree is truncated", d->name);
	if (rc)
		return rc == -ENOENT ? -EINVAL : rc;
	for (k = 0, line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save), k++) {
		struct doc_bar *b;

		used = 0;
		if (sscanf(line, "0x%llx 0x%llx 0x%llx%n", &start, &end, &flags, &used) != 3 || line[used] ||
		    (end < start && flags)) {
			snprintf(err, DOC_ERR_MAX, "%s: resource, line %u: '%.60s' is no range of addresses", d->name,
				 k + 1, line);
			return -EINVAL;
		}
		if (k >= DOC_NUM_BARS || !(flags & (IORESOURCE_IO | IORESOURCE_MEM)) ||
		    (d->kind == DOC_BRIDGE && k >= 2))
			continue;
		b = &d->bar[k];
		b->there = true;
		b->io = flags & IORESOURCE_IO;
		b->pref = flags & IORESOURCE_PREFETCH;
		b->is64 = flags & IORESOURCE_MEM_64;
		b->base = start;
		b->bytes = end - start + 1;
		b->assigned = start && !(flags & IORESOURCE_UNSET);
	}
	if (k < DOC_NUM_BARS) {
		snprintf(err, DOC_ERR_MAX, "%s: resource has %u lines, a function has %u BARs: the tree is truncated",
			 d->name, k, DOC_NUM_BARS);
		return -EINVAL;
	}
	return 0;
}

/* For a terminal, for JSON and for an error of one line: other than plain text comes from a broken tree. */
static void clean(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

static int read_net(void *arg, const char *name, char err[DOC_ERR_MAX])
{
	struct doc_dev *d = arg;

	if (d->num_nets < DOC_NETS) {
		snprintf(d->net[d->num_nets], sizeof(d->net[0]), "%.15s", name);
		clean(d->net[d->num_nets++]);
	}
	return 0;
}

static int read_group(const struct doc_tree *t, struct doc_dev *d, char err[DOC_ERR_MAX])
{
	char path[PATH_MAX], name[16], text[DOC_ATTR_MAX], *end;
	int rc = doc_tree_link(t, dev_path(d, "iommu_group", path), name, sizeof(name), err);

	d->group = -1;
	if (rc)
		return rc == -ENOENT ? 0 : rc;
	d->group = (int)strtol(name, &end, 10);
	if (*end || end == name || d->group < 0) {
		snprintf(err, DOC_ERR_MAX, "%s: iommu_group leads to '%s', which is no group", d->name, name);
		return -EINVAL;
	}
	/* In trees that others have packed groups may be left out; then the link has to do. */
	snprintf(path, sizeof(path), "kernel/iommu_groups/%d/type", d->group);
	rc = doc_tree_text(t, path, text, err);
	if (!rc)
		snprintf(d->iommu_type, sizeof(d->iommu_type), "%.15s", text);
	clean(d->iommu_type);
	if (rc && rc != -ENOENT)
		return rc;
	snprintf(path, sizeof(path), "kernel/iommu_groups/%d/name", d->group);
	rc = doc_tree_text(t, path, text, err);
	d->noiommu = !rc && strstr(text, "noiommu");
	return rc && rc != -ENOENT ? rc : 0;
}

static int read_power(const struct doc_tree *t, struct doc_dev *d, char err[DOC_ERR_MAX])
{
	char path[PATH_MAX], text[DOC_ATTR_MAX];
	int rc = doc_tree_text(t, dev_path(d, "power_state", path), text, err);

	if (rc)
		return rc == -ENOENT ? 0 : rc;
	/* "unknown" and "error" leave what configuration space says. */
	if (text[0] == 'D' && text[1] >= '0' && text[1] <= '3')
		d->power = (unsigned int)(text[1] - '0');
	return 0;
}

static int read_dev(struct reading *r, struct doc_dev *d, char err[DOC_ERR_MAX])
{
	const struct doc_tree *t = r->tree;
	uint8_t cfg[DOC_CONFIG_MAX];
	char path[PATH_MAX];
	long long numa = -1;
	int rc, len;

	rc = read_needed(t, d, "vendor", 0xffff, &d->vendor, err);
	if (!rc)
		rc = read_needed(t, d, "device", 0xffff, &d->device, err);
	if (!rc)
		rc = read_needed(t, d, "class", 0xffffff, &d->class_code, err);
	if (rc)
		return rc;
	d->kind = d->class_code >> 16 == 0x02 ? DOC_NIC : DOC_OTHER;
	len = doc_tree_read(t, dev_path(d, "config", path), cfg, sizeof(cfg), err);
	if (len == -ENOENT)
		snprintf(err, DOC_ERR_MAX, "%s has no file config: the tree is truncated", d->name);
	if (len < 0)
		return len == -ENOENT ? -EINVAL : len;
	rc = doc_config_parse(d, cfg, (unsigned int)len, err);
	if (!rc)
		rc = read_resource(t, d, err);
	if (!rc)
		rc = read_link(t, d, "current", &d->now, err);
	if (!rc)
		rc = read_link(t, d, "max", &d->max, err);
	if (!rc)
		rc = read_optional(t, d, "numa_node", -1, 65535, &numa, err);
	d->numa = (int)numa;
	if (!rc)
		rc = read_power(t, d, err);
	if (!rc)
		rc = read_group(t, d, err);
	if (rc)
		return rc;
	rc = doc_tree_link(t, dev_path(d, "driver", path), d->driver, sizeof(d->driver), err);
	if (rc && rc != -ENOENT)
		return rc;
	clean(d->driver);
	rc = doc_tree_each(t, dev_path(d, "net", path), read_net, d, err);
	r->box->short_config |= d->config_bytes < 256;
	return rc == -ENOENT || rc == -ENOTDIR ? 0 : rc;
}

static int read_entry(void *arg, const char *name, char err[DOC_ERR_MAX])
{
	struct reading *r = arg;
	struct doc_box *box = r->box;

	if (box->n == DOC_MAX_DEVS) {
		snprintf(err, DOC_ERR_MAX, "bus/pci/devices holds more than %u functions", DOC_MAX_DEVS);
		return -E2BIG;
	}
	if (box->n == r->room) {
		unsigned int room = r->room ? 2 * r->room : 64;
		struct doc_dev *more = realloc(box->dev, room * sizeof(*more));

		if (!more) {
			snprintf(err, DOC_ERR_MAX, "out of memory");
			return -ENOMEM;
		}
		box->dev = more;
		r->room = room;
	}
	r->d = &box->dev[box->n];
	memset(r->d, 0, sizeof(*r->d));
	r->d->parent = -1;
	if (!doc_address(name, r->d)) {
		snprintf(err, DOC_ERR_MAX, "bus/pci/devices/%.60s is no address of a PCI function", name);
		return -EINVAL;
	}
	box->n++;
	return read_dev(r, r->d, err);
}

/* ---- what hangs below what ---- */

static bool bridge_has(const struct doc_dev *up, const struct doc_dev *d)
{
	return up->kind == DOC_BRIDGE && up->domain == d->domain && up->secondary && up->secondary <= d->bus &&
	       d->bus <= up->subordinate;
}

static int parent_by_bus(const struct doc_box *box, const struct doc_dev *d)
{
	int best = -1;
	unsigned int k;

	for (k = 0; k < box->n; k++)
		if (bridge_has(&box->dev[k], d) && (best < 0 || box->dev[k].secondary > box->dev[best].secondary))
			best = (int)k;
	return best;
}

/* The folder above d's own, "devices/pci0000:00/0000:00:01.0" for one. */
static int parent_by_path(const struct doc_box *box, struct doc_dev *d, char *path, char err[DOC_ERR_MAX])
{
	char *end = strrchr(path, '/'), *last;
	struct doc_dev up;

	if (!end || strcmp(end + 1, d->name)) {
		snprintf(err, DOC_ERR_MAX, "%s: its link leads to %.200s: the tree contradicts itself", d->name, path);
		return -EINVAL;
	}
	*end = '\0';
	last = strrchr(path, '/');
	if (!last || !doc_address(last + 1, &up))
		return 0;
	d->parent = doc_box_find(box, up.name);
	if (d->parent < 0) {
		snprintf(err, DOC_ERR_MAX,
			 "%s hangs below %s, which bus/pci/devices does not hold: the tree is incomplete", d->name,
			 up.name);
		return -EINVAL;
	}
	return 0;
}

static int read_parent(const struct doc_box *box, const struct doc_tree *t, struct doc_dev *d, char err[DOC_ERR_MAX])
{
	char path[PATH_MAX], where[PATH_MAX];
	const struct doc_dev *up;
	int rc;

	snprintf(where, sizeof(where), "bus/pci/devices/%s", d->name);
	rc = doc_tree_resolve(t, where, path, err);
	if (rc)
		return rc;
	if (!strncmp(path, "bus/pci/devices/", 16)) {
		d->parent = parent_by_bus(box, d);
		return 0;
	}
	rc = parent_by_path(box, d, path, err);
	if (rc || d->parent < 0)
		return rc;
	up = &box->dev[d->parent];
	if (up->gone || bridge_has(up, d))
		return 0;
	snprintf(err, DOC_ERR_MAX, "%s hangs below %s, %s: the tree contradicts itself", d->name, up->name,
		 up->kind == DOC_BRIDGE ? "whose config has other buses below it" : "which is no bridge");
	return -EINVAL;
}

/* Two folders that lie in each other. */
static int check_depth(const struct doc_box *box, const struct doc_dev *d, char err[DOC_ERR_MAX])
{
	unsigned int depth = 0;
	int up;

	for (up = d->parent; up >= 0 && depth < 256; up = box->dev[up].parent)
		depth++;
	if (up < 0)
		return 0;
	snprintf(err, DOC_ERR_MAX, "%s hangs below itself: the tree contradicts itself", d->name);
	return -EINVAL;
}

/* ---- the rest of the box ---- */

static int count_entry(void *arg, const char *name, char err[DOC_ERR_MAX])
{
	*(unsigned int *)arg += 1;
	return 0;
}

static int read_iommu(struct doc_box *box, const struct doc_tree *t, char err[DOC_ERR_MAX])
{
	unsigned int n = 0, k;
	int rc = doc_tree_each(t, "class/iommu", count_entry, &n, err);

	if (rc && rc != -ENOENT)
		return rc;
	for (k = 0; k < box->n; k++)
		n += box->dev[k].group >= 0 && !box->dev[k].noiommu;
	box->iommu = n > 0;
	return 0;
}

static void cpu_field(char *line, const char *key, char *to, size_t size)
{
	char *colon = strchr(line, ':');
	size_t len = strlen(key);

	if (!*to && colon && !strncmp(line, key, len) && (line[len] == '\t' || line[len] == ' ' || line[len] == ':'))
		snprintf(to, size, "%.*s", (int)size - 1, colon + 1 + strspn(colon + 1, " \t"));
}

static int read_cpu(struct doc_box *box, const struct doc_tree *t, char err[DOC_ERR_MAX])
{
	char text[DOC_ATTR_MAX + 1], family[16] = "", *line, *save = NULL;
	int n;

	/* Of a machine's own file the first processor is enough. */
	if (t->live) {
		FILE *f = fopen("/proc/cpuinfo", "re");

		n = f ? (int)fread(text, 1, DOC_ATTR_MAX, f) : 0;
		if (f)
			fclose(f);
	} else {
		n = doc_tree_read(t, "proc/cpuinfo", text, DOC_ATTR_MAX, err);
	}
	if (n < 0)
		return n == -ENOENT ? 0 : n;
	text[n] = '\0';
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		cpu_field(line, "vendor_id", box->cpu.vendor, sizeof(box->cpu.vendor));
		cpu_field(line, "cpu family", family, sizeof(family));
		cpu_field(line, "model name", box->cpu.model, sizeof(box->cpu.model));
	}
	clean(box->cpu.vendor);
	clean(box->cpu.model);
	box->cpu.family = (unsigned int)strtoul(family, NULL, 10);
	return 0;
}

static void pci_quiet(char *fmt, ...) {}

/* Vendors and devices by name: libpci's database. */
static void read_names(struct doc_box *box)
{
	struct pci_access *acc = pci_alloc();
	unsigned int k;

	if (!acc)
		return;
	acc->warning = pci_quiet;
	acc->debug = pci_quiet;
	for (k = 0; k < box->n; k++) {
		struct doc_dev *d = &box->dev[k];

		if (!pci_lookup_name(acc, d->text, sizeof(d->text), PCI_LOOKUP_VENDOR | PCI_LOOKUP_DEVICE, d->vendor,
				     d->device))
			d->text[0] = '\0';
		clean(d->text);
	}
	pci_cleanup(acc);
}

static int by_address(const void *a, const void *b)
{
	const struct doc_dev *x = a, *y = b;
	uint64_t kx = (uint64_t)x->domain << 16 | x->bus << 8 | x->slot << 3 | x->fn;
	uint64_t ky = (uint64_t)y->domain << 16 | y->bus << 8 | y->slot << 3 | y->fn;

	return kx < ky ? -1 : kx > ky;
}

int doc_box_read(struct doc_box *box, const char *root, char err[DOC_ERR_MAX])
{
	struct doc_tree tree;
	struct reading r = {.box = box, .tree = &tree};
	unsigned int k;
	int rc;

	memset(box, 0, sizeof(*box));
	rc = doc_tree_open(&tree, root, err);
	if (rc)
		return rc;
	rc = doc_tree_each(&tree, "bus/pci/devices", read_entry, &r, err);
	if (!rc && box->n)
		qsort(box->dev, box->n, sizeof(*box->dev), by_address);
	for (k = 0; !rc && k < box->n; k++)
		rc = read_parent(box, &tree, &box->dev[k], err);
	for (k = 0; !rc && k < box->n; k++)
		rc = check_depth(box, &box->dev[k], err);
	if (!rc)
		rc = read_iommu(box, &tree, err);
	if (!rc)
		rc = read_cpu(box, &tree, err);
	doc_tree_close(&tree);
	if (!rc) {
		read_names(box);
		return 0;
	}
	clean(err);
	doc_box_free(box);
	return rc;
}

void doc_box_free(struct doc_box *box)
{
	free(box->dev);
	memset(box, 0, sizeof(*box));
}

int doc_box_find(const struct doc_box *box, const char *name)
{
	struct doc_dev want = {0};
	char whole[DOC_NAME_MAX];
	const struct doc_dev *at;

	if (!doc_address(name, &want)) {
		snprintf(whole, sizeof(whole), "0000:%.15s", name);
		if (!doc_address(whole, &want))
			return -1;
	}
	at = box->n ? bsearch(&want, box->dev, box->n, sizeof(*at), by_address) : NULL;
	return at ? (int)(at - box->dev) : -1;
}
