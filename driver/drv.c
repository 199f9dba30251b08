/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver's object: NICs opened and identified, errors, registers. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "driver/drv_internal.h"
#include "driver/vfio_container.h"

#define DRV_AWAIT_NS 1000000
#define DRV_AWAIT_TRIES 2000

void drv_opts_init(struct drv_opts *o)
{
	memset(o, 0, sizeof(*o));
	o->slots = DRV_SLOTS_DEFAULT;
	o->batch = 8;
	o->stride = 64;
	o->age_s = 300;
	o->silence_ms = 100;
	o->flood_pps = 1000000;
	o->backpressure = true;
}

int drv_create(struct drv **out)
{
	struct drv *d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	memset(d->wake_fd, -1, sizeof(d->wake_fd));
	d->bus_shift = DRV_BUS_SHIFT;
	d->bn.host_fd = d->host_area_fd = d->host_pool_fd = -1;
	*out = d;
	return 0;
}

void drv_destroy(struct drv *d)
{
	unsigned int i;

	if (!d)
		return;
	for (i = 0; i < d->n; i++)
		d->nic[i].t->ops->close(d->nic[i].t);
	drv_host_destroy(d);
	drv_wake_close(d);
	vfio_container_destroy(d->vfio);
	free(d);
}

struct vfio_container *drv_vfio(struct drv *d)
{
	if (!d->vfio && vfio_container_create(&d->vfio, PCI_SYSFS))
		return NULL;
	return d->vfio;
}

bool drv_held(const struct drv *d)
{
	unsigned int i;

	for (i = 0; i < d->n; i++)
		if (d->nic[i].t->flags & TRANSPORT_HELD)
			return true;
	return false;
}

const char *drv_why(const struct drv_nic *nic, int rc)
{
	const char *why = nic->t->ops->why ? nic->t->ops->why(nic->t) : NULL;

	return why ? why : strerror(-rc);
}

const char *drv_error(const struct drv *d)
{
	return d->error;
}

int drv_fail(struct drv *d, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(d->error, sizeof(d->error), fmt, ap);
	va_end(ap);
	return rc;
}

void drv_note(struct drv *d, const char *fmt, ...)
{
	size_t at = strlen(d->note);
	va_list ap;

	if (at && at + 3 < sizeof(d->note))
		at += (size_t)snprintf(d->note + at, sizeof(d->note) - at, "; ");
	va_start(ap, fmt);
	vsnprintf(d->note + at, sizeof(d->note) - at, fmt, ap);
	va_end(ap);
}

int drv_reg_read(struct drv *d, struct drv_nic *nic, uint32_t off, uint32_t bytes, uint64_t *v)
{
	le64 raw = { 0 };
	int rc;

	rc = nic->t->ops->region_read(nic->t, DRV_REGION_BAR0, off, &raw, bytes);
	if (rc)
		return drv_fail(d, rc, "%s: reading register 0x%x failed: %s", nic->name, off, drv_why(nic, rc));
	*v = from_le64(raw);
	return 0;
}

int drv_reg_write(struct drv *d, struct drv_nic *nic, uint32_t off, uint32_t bytes, uint64_t v)
{
	le64 raw = to_le64(v);
	int rc;

	rc = nic->t->ops->region_write(nic->t, DRV_REGION_BAR0, off, &raw, bytes);
	if (rc)
		return drv_fail(d, rc, "%s: writing register 0x%x failed: %s", nic->name, off, drv_why(nic, rc));
	return 0;
}

int drv_reg_await(struct drv *d, struct drv_nic *nic, uint32_t off, uint64_t mask, uint64_t want, uint64_t *v)
{
	const struct timespec nap = { 0, DRV_AWAIT_NS };
	unsigned int tries;
	int rc;

	for (tries = 0; tries < DRV_AWAIT_TRIES; tries++) {
		rc = drv_reg_read(d, nic, off, 4, v);
		if (rc || (*v & mask) == want)
			return rc;
		nanosleep(&nap, NULL);
	}
	return -ETIMEDOUT;
}

static int drv_command(struct drv *d, struct drv_nic *nic, uint16_t *command)
{
	le16 raw;
	int rc;

	rc = nic->t->ops->region_read(nic->t, DRV_REGION_CONFIG, DRV_PCI_COMMAND, &raw, sizeof(raw));
	if (rc)
		return drv_fail(d, rc, "%s: reading the PCI command register failed: %s", nic->name, drv_why(nic, rc));
	*command = from_le16(raw);
	return 0;
}

static int drv_set_command(struct drv *d, struct drv_nic *nic, uint16_t bit, const char *what)
{
	uint16_t command = 0;
	le16 raw;
	int rc;

	rc = drv_command(d, nic, &command);
	if (rc)
		return rc;
	if (command & bit)
		return 0;
	raw = to_le16((uint16_t)(command | bit));
	rc = nic->t->ops->region_write(nic->t, DRV_REGION_CONFIG, DRV_PCI_COMMAND, &raw, sizeof(raw));
	if (rc)
		return drv_fail(d, rc, "%s: turning %s on failed: %s", nic->name, what, strerror(-rc));
	return 0;
}

int drv_step_decode(struct drv *d, struct drv_nic *nic)
{
	return drv_set_command(d, nic, DRV_PCI_COMMAND_MEMORY, "memory decode");
}

int drv_step_master(struct drv *d, struct drv_nic *nic)
{
	return drv_set_command(d, nic, DRV_PCI_COMMAND_MASTER, "bus mastering");
}

static int drv_identify_version(struct drv *d, struct drv_nic *nic)
{
	uint64_t magic, version;
	int rc;

	rc = drv_reg_read(d, nic, P2P_MAGIC, 4, &magic);
	if (rc)
		return rc;
	if (magic != P2P_REG_MAGIC_VALUE)
		return drv_fail(d, -ENODEV, "%s: not a P2PNIC (identity 0x%08" PRIx64 "); give the address of one",
				nic->name, magic);
	rc = drv_reg_read(d, nic, P2P_VERSION, 4, &version);
	if (rc)
		return rc;
	if (version >> 16 != P2P_REG_VERSION_VALUE >> 16)
		return drv_fail(d, -EPROTO,
				"%s: device interface version %u, this driver speaks %u; use the same release on both",
				nic->name, (unsigned int)(version >> 16), P2P_REG_VERSION_VALUE >> 16);
	nic->minor = version & 0xffff;
	return 0;
}

static int drv_identify(struct drv *d, struct drv_nic *nic)
{
	uint64_t ports, buf_size, status, queues = 1;
	unsigned int p;
	int rc;

	rc = drv_identify_version(d, nic);
	if (!rc)
		rc = drv_reg_read(d, nic, P2P_NUM_PORTS, 4, &ports);
	if (!rc)
		rc = drv_reg_read(d, nic, P2P_BUF_SIZE, 4, &buf_size);
	if (!rc)
		rc = drv_reg_read(d, nic, P2P_MEM_SIZE, 8, &nic->mem_bytes);
	if (!rc)
		rc = drv_reg_read(d, nic, P2P_STATUS, 4, &status);
	if (!rc && drv_has_queues(nic))
		rc = drv_reg_read(d, nic, P2P_QUEUES_MAX, 4, &queues);
	if (rc)
		return rc;
	if (!ports || ports > P2P_MAX_PORTS || !buf_size || buf_size % 64 || buf_size > 16384)
		return drv_fail(d, -EPROTO, "%s: says %" PRIu64 " ports and buffers of %" PRIu64
				" bytes, which can't be", nic->name, ports, buf_size);
	if (!queues || queues > P2P_MAX_QUEUES)
		return drv_fail(d, -EPROTO, "%s: says %" PRIu64 " queues, which can't be", nic->name, queues);
	nic->ports = (uint32_t)ports;
	nic->buf_size = (uint32_t)buf_size;
	nic->status = (uint32_t)status;
	nic->max_queues = (uint32_t)queues;
	for (p = 0; p < nic->ports; p++) {
		rc = drv_reg_read(d, nic, drv_port_reg(p, P2P_PORT_MAC), 8, &nic->mac[p]);
		if (rc)
			return rc;
	}
	return 0;
}

/* Bus addresses that this NIC's IOMMU can have; its memory must fit into one piece. */
static int drv_check_bus(struct drv *d, const struct drv_nic *nic)
{
	unsigned int bits = nic->t->bus_bits ? nic->t->bus_bits : 64, i;
	uint64_t most = nic->mem_bytes;

	if (bits < DRV_BUS_SHIFT + DRV_BUS_PIECES_BITS && bits < d->bus_shift + DRV_BUS_PIECES_BITS)
		d->bus_shift = bits > DRV_BUS_PIECES_BITS ? bits - DRV_BUS_PIECES_BITS : 0;
	for (i = 0; i < d->n; i++)
		most = d->nic[i].mem_bytes > most ? d->nic[i].mem_bytes : most;
	if (most > 1ull << d->bus_shift)
		return drv_fail(d, -ENOSPC, "%s: its IOMMU has bus addresses of %u bits, too few for NICs of %" PRIu64
				" MiB of device memory", nic->name, bits, most >> 20);
	return 0;
}

/* A bridge would learn one station behind two NICs, and a host could not tell them apart. */
static int drv_check_addresses(struct drv *d, const struct drv_nic *nic)
{
	unsigned int i, p, q;

	for (i = 0; i < d->n; i++) {
		if (!strcmp(d->nic[i].name, nic->name))
			return drv_fail(d, -EEXIST, "%s is given twice; name each NIC once", nic->name);
		for (p = 0; p < nic->ports; p++)
			for (q = 0; q < d->nic[i].ports; q++)
				if (nic->mac[p] && nic->mac[p] == d->nic[i].mac[q])
					return drv_fail(d, -EEXIST,
							"%s and %s have one MAC address; give them different names or addresses",
							d->nic[i].name, nic->name);
	}
	return 0;
}

static void drv_restore_command(struct drv_nic *nic)
{
	le16 raw = to_le16(nic->command);

	if (nic->decode_on)
		nic->t->ops->region_write(nic->t, DRV_REGION_CONFIG, DRV_PCI_COMMAND, &raw, sizeof(raw));
}

int drv_add(struct drv *d, struct transport *t, const char *name)
{
	struct drv_nic *nic = &d->nic[d->n];
	int rc;

	if (d->n == P2P_MAX_NICS) {
		t->ops->close(t);
		return drv_fail(d, -ENOSPC, "%s: more than %u NICs", name, P2P_MAX_NICS);
	}
	memset(nic, 0, sizeof(*nic));
	nic->t = t;
	nic->index = d->n;
	snprintf(nic->name, sizeof(nic->name), "%s", name);
	rc = drv_command(d, nic, &nic->command);
	if (!rc && !(nic->command & DRV_PCI_COMMAND_MEMORY)) {
		nic->decode_on = true;
		rc = drv_step_decode(d, nic);
	}
	if (!rc)
		rc = drv_identify(d, nic);
	if (!rc)
		rc = drv_check_addresses(d, nic);
	if (!rc)
		rc = drv_check_bus(d, nic);
	if (rc) {
		drv_restore_command(nic);
		t->ops->close(t);
		return rc;
	}
	d->n++;
	return 0;
}

struct drv_nic *drv_by_index(struct drv *d, unsigned int index)
{
	unsigned int i;

	for (i = 0; i < d->n; i++)
		if (d->nic[i].index == index)
			return &d->nic[i];
	return NULL;
}
