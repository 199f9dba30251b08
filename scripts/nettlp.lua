-- SPDX-License-Identifier: BSD-3-Clause
--
-- Wireshark shows the TLPs of `p2pnic sim --trace` (fabric/trace.h) and of anything else in NetTLP's encapsulation:
--
--   wireshark -X lua_script:scripts/nettlp.lua trace.pcap
--   tshark -X lua_script:scripts/nettlp.lua -r trace.pcap -Y 'tlp.kind == "MWr" && tlp.bytes == 64'
--
-- Memory requests and completions, with addresses and lengths to the byte and tags of 10 bits.
-- Source: PCI Express Base Specification, 2.2.
local tlp = Proto("tlp", "PCI Express TLP (NetTLP)")
local f = {
	seq = ProtoField.uint16("tlp.seq", "NetTLP sequence"),
	ns = ProtoField.uint32("tlp.ns", "NetTLP time stamp"),
	kind = ProtoField.string("tlp.kind", "Kind"),
	dws = ProtoField.uint16("tlp.dws", "Length in double words"),
	requester = ProtoField.uint16("tlp.requester", "Requester", base.HEX),
	completer = ProtoField.uint16("tlp.completer", "Completer", base.HEX),
	tag = ProtoField.uint16("tlp.tag", "Tag"),
	first_be = ProtoField.uint8("tlp.first_be", "First byte enables", base.HEX, nil, 0x0f),
	last_be = ProtoField.uint8("tlp.last_be", "Last byte enables", base.HEX, nil, 0xf0),
	addr = ProtoField.uint64("tlp.addr", "Address", base.HEX),
	bytes = ProtoField.uint16("tlp.bytes", "Bytes"),
	status = ProtoField.uint8("tlp.status", "Status", base.DEC,
		{ [0] = "Successful", [1] = "Unsupported Request", [2] = "Request Retry", [4] = "Completer Abort" }),
	remaining = ProtoField.uint16("tlp.remaining", "Bytes to come, with these"),
	lower = ProtoField.uint8("tlp.lower", "Lower address", base.HEX, nil, 0x7f),
	data = ProtoField.bytes("tlp.data", "Data"),
}
tlp.fields = f

local function id_text(id)
	return string.format("%02x:%02x.%x", id:bitfield(0, 8), id:bitfield(8, 5), id:bitfield(13, 3))
end

-- Bits of the byte-enable field that ends before bit `stop` of the byte, before the first one that is set.
local function zeros_from(be, stop, step)
	local n = 0
	while n < 4 and be:bitfield(stop + step * n, 1) == 0 do
		n = n + 1
	end
	return n
end

local function request(buf, tree, long, dws)
	local be = buf(7, 1)
	local skip = zeros_from(be, 7, -1)
	local left = zeros_from(be, dws == 1 and 4 or 0, 1)
	local at = long and buf(8, 8) or buf(8, 4)
	local addr = (long and at:uint64() or UInt64(at:uint(), 0)) + skip
	local bytes = 4 * dws - skip - left

	tree:add(f.requester, buf(4, 2))
	tree:add(f.first_be, be)
	tree:add(f.last_be, be)
	tree:add(f.addr, at, addr)
	tree:add(f.bytes, be, bytes)
	return skip, bytes, string.format("%d bytes at 0x%s", bytes, addr:tohex()), buf(4, 2), long and 16 or 12
end

local function completion(buf, tree, dws)
	local remaining = buf(6, 2):bitfield(4, 12)
	local skip = buf(11, 1):bitfield(6, 2)
	local bytes

	remaining = remaining == 0 and 4096 or remaining
	bytes = math.max(0, math.min(remaining, 4 * dws - skip))
	tree:add(f.completer, buf(4, 2))
	tree:add(f.status, buf(6, 1), buf(6, 1):bitfield(0, 3))
	tree:add(f.remaining, buf(6, 2), remaining)
	tree:add(f.requester, buf(8, 2))
	tree:add(f.lower, buf(11, 1))
	tree:add(f.bytes, buf(6, 2), bytes)
	return skip, bytes, string.format("%d bytes of %d from %s", bytes, remaining, id_text(buf(4, 2))), buf(8, 2), 12
end

function tlp.dissector(packet, pinfo, root)
	if packet:len() < 6 + 12 then
		return 0
	end
	local buf = packet(6):tvb()
	local kind, long, carries = buf(0, 1):bitfield(3, 5), buf(0, 1):bitfield(2, 1) == 1, buf(0, 1):bitfield(1, 1) == 1
	local dws = buf(2, 2):bitfield(6, 10)
	local is_cpl = kind == 0x0a

	if buf(0, 1):bitfield(0, 1) ~= 0 or (kind ~= 0 and not is_cpl) then
		return 0
	end
	local name = is_cpl and (carries and "CplD" or "Cpl") or (carries and "MWr" or "MRd")
	local tag_at = is_cpl and 10 or 6
	local tag = buf(1, 1):bitfield(0, 1) * 512 + buf(1, 1):bitfield(4, 1) * 256 + buf(tag_at, 1):uint()
	local tree = root:add(tlp, packet())
	local skip, bytes, text, requester, data_at

	dws = dws == 0 and (carries or not is_cpl) and 1024 or dws
	tree:add(f.seq, packet(0, 2))
	tree:add(f.ns, packet(2, 4))
	tree:add(f.kind, buf(0, 1), name)
	tree:add(f.dws, buf(2, 2), dws)
	tree:add(f.tag, buf(tag_at, 1), tag)
	if is_cpl then
		skip, bytes, text, requester, data_at = completion(buf, tree, dws)
	else
		skip, bytes, text, requester, data_at = request(buf, tree, long, dws)
	end
	if carries and bytes > 0 then
		tree:add(f.data, buf(data_at + skip, bytes))
	end
	pinfo.cols.protocol = "TLP"
	pinfo.cols.info = string.format("%s %s, requester %s, tag %d", name, text, id_text(requester), tag)
	return packet:len()
end

for port = 0x3000, 0x300f do
	DissectorTable.get("udp.port"):add(port, tlp)
end
