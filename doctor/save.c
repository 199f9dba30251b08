/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A copy of what doc_box_read() reads, for another box.  Config is stripped to what is looked at, so that no serial
 * number or MAC address gets out by a capability that nobody here knows.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

struct saving {
	const struct doc_tree *from;
	const char *into;
	char dev[DOC_NAME_MAX];
	char where[PATH_MAX]; /* the device's folder, relative to both trees */
};

static int save_fail(const char *into, const char *path, char err[DOC_ERR_MAX])
{
	int code = errno;

	snprintf(err, DOC_ERR_MAX, "%.200s/%.200s: %s", into, path, strerror(code));
	return -code;
}

static int save_path(const char *into, const char *path, char to[2 * PATH_MAX], char err[DOC_ERR_MAX])
{
	if (snprintf(to, 2 * PATH_MAX, "%s/%s", into, path) < 2 * PATH_MAX)
		return 0;
	errno = ENAMETOOLONG;
	return save_fail(into, path, err);
}

/* All folders on the way to path's last component. */
static int save_folders(const char *into, const char *path, char err[DOC_ERR_MAX])
{
	char whole[2 * PATH_MAX], *slash;
	int rc = save_path(into, path, whole, err);

	if (rc)
		return rc;
	for (slash = whole + strlen(into); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(whole, 0755) && errno != EEXIST)
			return save_fail(into, path, err);
		*slash = '/';
	}
	return 0;
}

static int save_file(const char *into, const char *path, const void *data, size_t len, char err[DOC_ERR_MAX])
{
	char whole[2 * PATH_MAX];
	FILE *f;
	int rc = save_folders(into, path, err);

	if (!rc)
		rc = save_path(into, path, whole, err);
	if (rc)
		return rc;
	f = fopen(whole, "wxe");
	if (!f)
		return save_fail(into, path, err);
	if (fwrite(data, 1, len, f) != len || fflush(f)) {
		rc = save_fail(into, path, err);
		fclose(f);
		return rc;
	}
	return fclose(f) ? save_fail(into, path, err) : 0;
}

static int save_link(const char *into, const char *path, const char *target, char err[DOC_ERR_MAX])
{
	char whole[2 * PATH_MAX];
	int rc = save_folders(into, path, err);

	if (!rc)
		rc = save_path(into, path, whole, err);
	if (rc)
		return rc;
	return symlink(target, whole) ? save_fail(into, path, err) : 0;
}

/* A file of text as it is; one that is missing, or that the kernel does not want to tell, is left out. */
static int save_text(struct saving *s, const char *path, const char *as, char err[DOC_ERR_MAX])
{
	char text[DOC_ATTR_MAX];
	int rc = doc_tree_text(s->from, path, text, err);

	if (rc == -ENOENT || rc == -EIO)
		return 0;
	if (rc)
		return rc;
	strcat(text, strlen(text) + 1 < DOC_ATTR_MAX ? "\n" : "");
	return save_file(s->into, as, text, strlen(text), err);
}

static int save_net(void *arg, const char *name, char err[DOC_ERR_MAX])
{
	struct saving *s = arg;
	char path[2 * PATH_MAX];

	snprintf(path, sizeof(path), "%s/net/%s/", s->where, name);
	return save_folders(s->into, path, err);
}

/* A link into a part of the tree of which only the name is needed. */
static int save_name(struct saving *s, const char *file, const char *folder, char err[DOC_ERR_MAX])
{
	char path[2 * PATH_MAX], to[2 * PATH_MAX], name[64];
	unsigned int depth = 0;
	const char *p;
	int rc;

	snprintf(path, sizeof(path), "bus/pci/devices/%s/%s", s->dev, file);
	rc = doc_tree_link(s->from, path, name, sizeof(name), err);
	if (rc)
		return rc == -ENOENT ? 0 : rc;
	snprintf(path, sizeof(path), "%s/%s/", folder, name);
	rc = save_folders(s->into, path, err);
	if (rc)
		return rc;
	to[0] = '\0';
	for (p = s->where; p; p = strchr(p + 1, '/'), depth++)
		strcat(to, "../");
	snprintf(to + strlen(to), sizeof(to) - strlen(to), "%.200s/%s", folder, name);
	snprintf(path, sizeof(path), "%s/%s", s->where, file);
	return save_link(s->into, path, to, err);
}

static int save_config(struct saving *s, char err[DOC_ERR_MAX])
{
	uint8_t cfg[DOC_CONFIG_MAX], kept[DOC_CONFIG_MAX];
	char path[2 * PATH_MAX];
	int n;

	snprintf(path, sizeof(path), "bus/pci/devices/%s/config", s->dev);
	n = doc_tree_read(s->from, path, cfg, sizeof(cfg), err);
	if (n < 0)
		return n;
	doc_config_strip(kept, cfg, (unsigned int)n);
	snprintf(path, sizeof(path), "%s/config", s->where);
	return save_file(s->into, path, kept, (size_t)n, err);
}

static int save_dev(void *arg, const char *name, char err[DOC_ERR_MAX])
{
	static const char *const files[] = {"vendor",
					    "device",
					    "class",
					    "resource",
					    "numa_node",
					    "power_state",
					    "current_link_speed",
					    "current_link_width",
					    "max_link_speed",
					    "max_link_width"};
	struct saving *s = arg;
	char path[2 * PATH_MAX], as[2 * PATH_MAX];
	unsigned int k;
	int rc;

	snprintf(s->dev, sizeof(s->dev), "%s", name);
	snprintf(path, sizeof(path), "bus/pci/devices/%.20s", name);
	rc = doc_tree_resolve(s->from, path, s->where, err);
	for (k = 0; !rc && k < sizeof(files) / sizeof(files[0]); k++) {
		snprintf(path, sizeof(path), "bus/pci/devices/%s/%s", s->dev, files[k]);
		snprintf(as, sizeof(as), "%s/%s", s->where, files[k]);
		rc = save_text(s, path, as, err);
	}
	if (!rc)
		rc = save_config(s, err);
	if (!rc)
		rc = save_name(s, "driver", "bus/pci/drivers", err);
	if (!rc)
		rc = save_name(s, "iommu_group", "kernel/iommu_groups", err);
	if (rc)
		return rc;
	snprintf(path, sizeof(path), "bus/pci/devices/%s/net", s->dev);
	rc = doc_tree_each(s->from, path, save_net, s, err);
	if (rc && rc != -ENOENT && rc != -ENOTDIR)
		return rc;
	if (!strncmp(s->where, "bus/pci/devices/", 16))
		return 0;
	snprintf(path, sizeof(path), "bus/pci/devices/%s", s->dev);
	snprintf(as, sizeof(as), "../../../%.*s", PATH_MAX, s->where);
	return save_link(s->into, path, as, err);
}

static int save_group(void *arg, const char *name, char err[DOC_ERR_MAX])
{
	struct saving *s = arg;
	char path[PATH_MAX];
	int rc;

	snprintf(path, sizeof(path), "kernel/iommu_groups/%.40s/type", name);
	rc = save_text(s, path, path, err);
	snprintf(path, sizeof(path), "kernel/iommu_groups/%.40s/name", name);
	return rc ? rc : save_text(s, path, path, err);
}

static int save_iommu(void *arg, const char *name, char err[DOC_ERR_MAX])
{
	struct saving *s = arg;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "class/iommu/%.200s/", name);
	return save_folders(s->into, path, err);
}

/* Of the processors one, and of it what says which root complex this is. */
static int save_cpu(const struct doc_box *box, const char *into, char err[DOC_ERR_MAX])
{
	char text[256];

	snprintf(text, sizeof(text), "vendor_id\t: %s\ncpu family\t: %u\nmodel name\t: %s\n", box->cpu.vendor,
		 box->cpu.family, box->cpu.model);
	return save_file(into, "proc/cpuinfo", text, strlen(text), err);
}

static int save_begin(const char *into, char err[DOC_ERR_MAX])
{
	struct dirent *e;
	DIR *d;

	if (mkdir(into, 0755) && errno != EEXIST)
		return save_fail(into, "", err);
	d = opendir(into);
	if (!d)
		return save_fail(into, "", err);
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			break;
	closedir(d);
	if (!e)
		return 0;
	snprintf(err, DOC_ERR_MAX, "%.200s is not empty: give a folder that is, or a new one", into);
	return -ENOTEMPTY;
}

int doc_box_save(const char *root, const char *into, char err[DOC_ERR_MAX])
{
	struct doc_tree from;
	struct doc_box box;
	struct saving s = {.from = &from, .into = into};
	int rc;

	/* What can't be read is not worth sending. */
	rc = doc_box_read(&box, root, err);
	if (rc)
		return rc;
	rc = doc_tree_open(&from, root, err);
	if (rc)
		goto free_box;
	rc = save_begin(into, err);
	if (!rc)
		rc = save_folders(into, "bus/pci/devices/", err);
	if (!rc)
		rc = doc_tree_each(&from, "bus/pci/devices", save_dev, &s, err);
	if (!rc)
		rc = doc_tree_each(&from, "kernel/iommu_groups", save_group, &s, err);
	rc = rc == -ENOENT ? 0 : rc;
	if (!rc)
		rc = doc_tree_each(&from, "class/iommu", save_iommu, &s, err);
	rc = rc == -ENOENT ? 0 : rc;
	if (!rc && (box.cpu.vendor[0] || box.cpu.model[0]))
		rc = save_cpu(&box, into, err);
	doc_tree_close(&from);
free_box:
	doc_box_free(&box);
	return rc;
}
