/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ports/port.h"

static void refuse(const char *text, const char *part)
{
	char err[PORT_ERR_MAX] = "";
	struct port *p = NULL;
	int rc = port_open(&p, text, err);

	if (rc != -EINVAL || p || !strstr(err, part) || strchr(err, '\n'))
		fail_msg("'%s': %d, '%s' without '%s'", text, rc, err, part);
}

static void test_parse(void **state)
{
	struct port_spec s;
	char err[PORT_ERR_MAX];

	assert_int_equal(port_spec_parse(&s, "pcap:/a/b:c.pcap,out,loop=3,x=", err), 0);
	assert_string_equal(s.scheme, "pcap");
	assert_string_equal(s.target, "/a/b:c.pcap");
	assert_int_equal(s.n, 3);
	assert_string_equal(port_spec_get(&s, "out"), "");
	assert_string_equal(port_spec_get(&s, "loop"), "3");
	assert_string_equal(port_spec_get(&s, "x"), "");
	assert_null(port_spec_get(&s, "y"));
	assert_true(s.opt[0].used && s.opt[1].used && s.opt[2].used);

	assert_int_equal(port_spec_parse(&s, "null:", err), 0);
	assert_string_equal(s.target, "");
	assert_int_equal(s.n, 0);
	assert_int_equal(port_spec_parse(&s, "pcap:,OUT", err), 0);
	assert_string_equal(s.target, "");
	assert_string_equal(s.opt[0].key, "OUT");
}

static void test_numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t v;
	} good[] = {
		{ "0", 0 }, { "7", 7 }, { "64", 64 }, { "2k", 2000 }, { "2K", 2000 }, { "3M", 3000000 },
		{ "10G", 10000000000u }, { "18446744073709551615", UINT64_MAX },
	};
	static const char *const bad[] = {
		"", "-1", "+1", " 1", "1 ", "0x10", "k", "1.5", "1kk", "1T", "18446744073709551616", "99999999999999999G", "1e3",
	};
	char text[64], err[PORT_ERR_MAX];
	struct port_spec s;
	unsigned int i;
	uint64_t v;

	for (i = 0; i < P2P_ARRAY_SIZE(good); i++) {
		snprintf(text, sizeof(text), "x:,n=%s", good[i].text);
		assert_int_equal(port_spec_parse(&s, text, err), 0);
		v = 99;
		assert_int_equal(port_spec_get_u64(&s, "n", 0, UINT64_MAX, &v, err), 0);
		assert_true(v == good[i].v);
	}
	for (i = 0; i < P2P_ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text), "x:,n=%s", bad[i]);
		assert_int_equal(port_spec_parse(&s, text, err), 0);
		v = 99;
		assert_int_equal(port_spec_get_u64(&s, "n", 0, UINT64_MAX, &v, err), -EINVAL);
		assert_true(v == 99);
		assert_non_null(strstr(err, "n='"));
	}
	assert_int_equal(port_spec_parse(&s, "x:,n=5", err), 0);
	assert_int_equal(port_spec_get_u64(&s, "n", 6, 9, &v, err), -EINVAL);
	assert_non_null(strstr(err, "from 6 to 9"));
	assert_int_equal(port_spec_get_u64(&s, "n", 5, 5, &v, err), 0);
	assert_int_equal(port_spec_get_u64(&s, "absent", 6, 9, &v, err), 0);
	assert_true(v == 5);
}

static void test_mac(void **state)
{
	static const uint8_t want[6] = { 0x02, 0x0a, 0xFf, 0x90, 0xc7, 0xbe };
	uint8_t mac[6];

	assert_int_equal(port_mac_parse("02:0a:Ff:90:C7:bE", 17, mac), 0);
	assert_memory_equal(mac, want, 6);
	assert_int_equal(port_mac_parse("02:0a:ff:90:c7:be,more", 17, mac), 0);
	assert_int_equal(port_mac_parse("02:0a:ff:90:c7:be0", 18, mac), -EINVAL);
	assert_int_equal(port_mac_parse("02:0a:ff:90:c7:b", 16, mac), -EINVAL);
	assert_int_equal(port_mac_parse("", 0, mac), -EINVAL);
	assert_int_equal(port_mac_parse("02:0a:ff:90:c7: e", 17, mac), -EINVAL);
	assert_int_equal(port_mac_parse("02:0a:ff:90:c7:@e", 17, mac), -EINVAL);
	assert_int_equal(port_mac_parse("02:0a:ff:90:c7:0x", 17, mac), -EINVAL);
}

static void test_refused(void **state)
{
	char text[600], err[PORT_ERR_MAX];
	struct port_spec s;
	unsigned int i;

	refuse("", "no scheme");
	refuse("null", "gen: null:");
	refuse(":x", "no scheme");
	refuse("null,a:b", "no scheme");
	refuse("foo:bar", "no scheme 'foo:'; there are gen: null:");
	refuse("null:,", "option is empty");
	refuse("null:,,", "option is empty");
	refuse("null:,=3", "option is empty");
	refuse("null:,a=1,a=2", "'a' is given twice");
	refuse("null:,colour=red", "null: no option 'colour'; use null: drops");
	refuse("gen:,sise=64", "no option 'sise'; use gen:[NAME]");
	refuse("gen:,size=63", "size=63");
	refuse("gen:,size=9217", "size=9217");
	refuse("gen:,size=64-", "size=64-");
	refuse("gen:,size=100-99", "size=100-99");
	refuse("gen:,size=64x", "size=64x");
	refuse("gen:,size=", "size=");
	refuse("gen:,rate=fast", "rate='fast'");
	refuse("gen:,flows=0", "from 1 to 65536");
	refuse("gen:,flows=65537", "from 1 to 65536");
	refuse("gen:,id=256", "from 0 to 255");
	refuse("gen:,src=01:00:00:00:00:00", "src=01:");
	refuse("gen:,src=2:0:0:0:0:0", "src=2:");
	refuse("gen:,dst=02:00:00:00:00:0g", "dst=02:");
	refuse("gen:,src=02:00:00:00:00:-1", "src=02:");
	refuse("gen:,src=02-00-00-00-00-01", "src=02-");
	refuse("gen:,src=002:00:00:00:00:1", "src=002:");
	refuse("gen:,tx=maybe", "tx=maybe");
	refuse("gen:,routed=1", "routed");

	memset(text, 'a', sizeof(text));
	memcpy(text, "null:", 5);
	text[sizeof(text) - 1] = '\0';
	refuse(text, "longer than 511");
	i = (unsigned int)snprintf(text, sizeof(text), "null:");
	for (unsigned int k = 0; k <= PORT_SPEC_MAX_OPTS; k++)
		i += (unsigned int)snprintf(text + i, sizeof(text) - i, ",k%u", k);
	assert_int_equal(port_spec_parse(&s, text, err), -EINVAL);
	assert_non_null(strstr(err, "more than 24"));
}

static void test_table(void **state)
{
	unsigned int i, k;

	for (i = 0; port_schemes[i]; i++) {
		const struct port_ops *o = port_schemes[i];

		assert_int_equal(strncmp(o->help, o->scheme, strlen(o->scheme)), 0);
		assert_true(strlen(o->help) < PORT_ERR_MAX - 60);
		assert_null(strchr(o->help, '\n'));
		assert_true(o->open && o->start && o->stop && o->close && o->rx_burst && o->rx_post && o->tx_burst &&
			    o->tx_done && o->control && o->fds && o->link_up);
		for (k = 0; k < i; k++)
			assert_string_not_equal(port_schemes[k]->scheme, o->scheme);
	}
	assert_true(i >= 2);
}

static void test_names(void **state)
{
	char err[PORT_ERR_MAX], text[400];
	struct port *p;

	assert_int_equal(port_open(&p, "gen:left,size=imix,dst=ff:ff:ff:ff:ff:ff", err), 0);
	assert_string_equal(p->name, "gen:left");
	p->ops->close(p);
	memset(text, 'x', sizeof(text));
	memcpy(text, "null:", 5);
	text[399] = '\0';
	assert_int_equal(port_open(&p, text, err), 0);
	assert_true(strlen(p->name) < PORT_NAME_MAX);
	p->ops->close(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),   cmocka_unit_test(test_numbers), cmocka_unit_test(test_mac),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_table),   cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("ports_spec", tests, NULL, NULL);
}
