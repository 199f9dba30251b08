/* SPDX-License-Identifier: BSD-3-Clause */
/* Changing a function's driver, by driver_override: no other function of its kind is touched, as with new_id. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "driver/pci_sysfs.h"

static int bind_write(const char *path, const char *text)
{
	ssize_t n;
	int fd, rc;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	rc = n < 0 ? -errno : 0;
	close(fd);
	return rc;
}

static int bind_fail(char err[PCI_ERR_BYTES], const char *addr, const char *path, int rc)
{
	if (rc == -EACCES || rc == -EPERM)
		snprintf(err, PCI_ERR_BYTES, "%s: no permission to write %.200s; run as root", addr, path);
	else
		snprintf(err, PCI_ERR_BYTES, "%s: writing %.200s failed: %s", addr, path, strerror(-rc));
	return rc;
}

static int bind_override(const char *root, const char *addr, const char *driver, char err[PCI_ERR_BYTES])
{
	char path[PATH_MAX];
	int rc;

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/driver_override", root, addr);
	rc = bind_write(path, driver);
	return rc ? bind_fail(err, addr, path, rc) : 0;
}

static int bind_release(const char *root, const struct pci_info *info, char err[PCI_ERR_BYTES])
{
	char path[PATH_MAX];
	int rc;

	if (!info->driver[0])
		return 0;
	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/driver/unbind", root, info->addr);
	rc = bind_write(path, info->addr);
	return rc ? bind_fail(err, info->addr, path, rc) : 0;
}

static int bind_probe(const char *root, const char *addr, char err[PCI_ERR_BYTES])
{
	char path[PATH_MAX];
	int rc;

	snprintf(path, sizeof(path), "%s/bus/pci/drivers_probe", root);
	rc = bind_write(path, addr);
	return rc ? bind_fail(err, addr, path, rc) : 0;
}

/* To what it was, as far as that goes. */
static void bind_undo(const char *root, const struct pci_info *was)
{
	char err[PCI_ERR_BYTES];

	bind_override(root, was->addr, was->override[0] ? was->override : "\n", err);
	bind_probe(root, was->addr, err);
}

static int bind_refuse(const char *root, const struct pci_info *info, bool force, char err[PCI_ERR_BYTES])
{
	char use[128], path[PATH_MAX];
	struct stat st;

	if (!force && pci_in_use(root, info->addr, use, sizeof(use))) {
		snprintf(err, PCI_ERR_BYTES, "%s: its network device %s; take it out of use first, or --force", info->addr, use);
		return -EBUSY;
	}
	snprintf(path, sizeof(path), "%s/bus/pci/drivers/" PCI_VFIO_DRIVER, root);
	if (stat(path, &st)) {
		snprintf(err, PCI_ERR_BYTES, "%s: the kernel has no " PCI_VFIO_DRIVER "; `modprobe " PCI_VFIO_DRIVER "` loads it",
			 info->addr);
		return -ENOENT;
	}
	if (info->group < 0) {
		snprintf(err, PCI_ERR_BYTES, "%s: it is in no IOMMU group; turn the IOMMU on in the firmware's setup and boot with"
			 " intel_iommu=on or amd_iommu=on", info->addr);
		return -ENXIO;
	}
	return 0;
}

int pci_bind(const char *root, const char *addr, bool force, bool *changed, char err[PCI_ERR_BYTES])
{
	struct pci_info was, now;
	int rc;

	*changed = false;
	rc = pci_info_read(root, addr, &was, err);
	if (rc)
		return rc;
	if (!strcmp(was.driver, PCI_VFIO_DRIVER))
		return 0;
	rc = bind_refuse(root, &was, force, err);
	if (!rc)
		rc = bind_override(root, addr, PCI_VFIO_DRIVER, err);
	if (rc)
		return rc;
	rc = bind_release(root, &was, err);
	if (!rc)
		rc = bind_probe(root, addr, err);
	if (!rc)
		rc = pci_info_read(root, addr, &now, err);
	if (!rc && strcmp(now.driver, PCI_VFIO_DRIVER)) {
		snprintf(err, PCI_ERR_BYTES, "%s: " PCI_VFIO_DRIVER " did not take it%s%s; the kernel's log says why", addr,
			 now.driver[0] ? ", but " : "", now.driver);
		rc = -ENODEV;
	}
	if (rc)
		bind_undo(root, &was);
	*changed = !rc;
	return rc;
}

int pci_unbind(const char *root, const char *addr, bool force, bool *changed, char err[PCI_ERR_BYTES])
{
	struct pci_info was;
	int rc;

	*changed = false;
	rc = pci_info_read(root, addr, &was, err);
	if (rc)
		return rc;
	if (strcmp(was.driver, PCI_VFIO_DRIVER)) {
		if (strcmp(was.override, PCI_VFIO_DRIVER))
			return 0;
	} else if (!force && pci_group_try(was.group) == -EBUSY) {
		snprintf(err, PCI_ERR_BYTES, "%s: a process holds it (/dev/vfio/%d is open); end that first, or --force, which asks it"
			 " to let go", addr, was.group);
		return -EBUSY;
	}
	rc = bind_override(root, addr, "\n", err);
	if (!rc && !strcmp(was.driver, PCI_VFIO_DRIVER))
		rc = bind_release(root, &was, err);
	if (!rc)
		rc = bind_probe(root, addr, err);
	*changed = !rc;
	return rc;
}
