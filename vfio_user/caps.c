/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#include "caps.h"

#define JSON_DEPTH 8

void vfu_caps_default(struct vfu_caps *caps)
{
	*caps = (struct vfu_caps){
		.max_msg_fds = VFU_DEFAULT_MAX_MSG_FDS,
		.max_data_xfer = VFU_DEFAULT_MAX_DATA_XFER,
		.max_dma_maps = VFU_DEFAULT_MAX_DMA_MAPS,
		.pgsizes = VFU_DEFAULT_PGSIZES,
	};
}

/* An absent key leaves *out alone. */
static int take_number(struct json_object *obj, const char *key, uint64_t min, uint64_t max, uint64_t *out)
{
	struct json_object *v;
	uint64_t n;

	if (!json_object_object_get_ex(obj, key, &v))
		return 0;
	if (!json_object_is_type(v, json_type_int) || json_object_get_int64(v) < 0)
		return -EINVAL;
	n = json_object_get_uint64(v);
	if (n < min)
		return -EINVAL;
	*out = n > max ? max : n;
	return 0;
}

static int take_flag(struct json_object *obj, const char *key, bool *out)
{
	struct json_object *v;

	if (!json_object_object_get_ex(obj, key, &v))
		return 0;
	if (!json_object_is_type(v, json_type_boolean))
		return -EINVAL;
	*out = json_object_get_boolean(v);
	return 0;
}

static int take_all(struct json_object *obj, struct vfu_caps *caps)
{
	uint64_t fds = caps->max_msg_fds, xfer = caps->max_data_xfer, maps = caps->max_dma_maps;

	if (take_number(obj, "max_msg_fds", 0, UINT32_MAX, &fds) ||
	    take_number(obj, "max_data_xfer_size", 1, UINT32_MAX, &xfer) ||
	    take_number(obj, "max_dma_maps", 0, UINT32_MAX, &maps) ||
	    take_number(obj, "pgsizes", 1, UINT64_MAX, &caps->pgsizes) ||
	    take_flag(obj, "write_multiple", &caps->write_multiple) || take_flag(obj, VFU_CAP_MAPS_COMPLETE, &caps->maps_complete))
		return -EINVAL;
	caps->max_msg_fds = (uint32_t)fds;
	caps->max_data_xfer = (uint32_t)xfer;
	caps->max_dma_maps = (uint32_t)maps;
	return 0;
}

int vfu_caps_parse(const char *json, size_t len, struct vfu_caps *caps)
{
	struct json_object *root = NULL, *obj;
	struct json_tokener *tok;
	int err = -EINVAL;

	vfu_caps_default(caps);
	if (!len)
		return 0;
	if (len > VFU_VERSION_MAX_BYTES || json[len - 1] || memchr(json, 0, len - 1))
		return -EINVAL;
	if (len == 1)
		return 0;
	tok = json_tokener_new_ex(JSON_DEPTH);
	if (!tok)
		return -ENOMEM;
	/* The NUL goes in too: it ends a bare number, and what follows the value shows. */
	root = json_tokener_parse_ex(tok, json, (int)len);
	if (!root || json_tokener_get_error(tok) != json_tokener_success)
		goto free_tok;
	if (json_tokener_get_parse_end(tok) < len - 1) {
		const char *rest = json + json_tokener_get_parse_end(tok);

		if (rest[strspn(rest, " \t\r\n")])
			goto free_tok;
	}
	if (!json_object_is_type(root, json_type_object))
		goto free_tok;
	err = 0;
	if (json_object_object_get_ex(root, "capabilities", &obj))
		err = json_object_is_type(obj, json_type_object) ? take_all(obj, caps) : -EINVAL;
free_tok:
	json_object_put(root);
	json_tokener_free(tok);
	return err;
}

int vfu_caps_format(const struct vfu_caps *caps, char *buf, size_t size, size_t *len)
{
	struct json_object *root = json_object_new_object(), *obj = json_object_new_object();
	const char *text;
	int err = -ENOMEM;

	if (!root || !obj) {
		json_object_put(obj);
		goto put_root;
	}
	json_object_object_add(root, "capabilities", obj);
	json_object_object_add(obj, "max_msg_fds", json_object_new_int64(caps->max_msg_fds));
	json_object_object_add(obj, "max_data_xfer_size", json_object_new_int64(caps->max_data_xfer));
	json_object_object_add(obj, "max_dma_maps", json_object_new_int64(caps->max_dma_maps));
	json_object_object_add(obj, "pgsizes", json_object_new_uint64(caps->pgsizes));
	if (caps->write_multiple)
		json_object_object_add(obj, "write_multiple", json_object_new_boolean(true));
	if (caps->maps_complete)
		json_object_object_add(obj, VFU_CAP_MAPS_COMPLETE, json_object_new_boolean(true));
	text = json_object_to_json_string_ext(root, JSON_C_TO_STRING_PLAIN);
	if (!text)
		goto put_root;
	err = -ENOSPC;
	if (strlen(text) + 1 > size)
		goto put_root;
	*len = strlen(text) + 1;
	memcpy(buf, text, *len);
	err = 0;
put_root:
	json_object_put(root);
	return err;
}
