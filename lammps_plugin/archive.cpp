#include "archive.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <stdexcept>
#include <vector>

namespace rhopot {
namespace {

constexpr uint64_t LOCAL_SIZE = 30, ENTRY_SIZE = 46, END_SIZE = 22, LOCATOR_SIZE = 20, END_64_SIZE = 56;
constexpr std::string_view LOCAL_START = "PK\x03\x04", ENTRY_START = "PK\x01\x02", END_START = "PK\x05\x06",
                           LOCATOR_START = "PK\x06\x07", END_64_START = "PK\x06\x06";
constexpr uint64_t FULL_16 = 0xFFFF, FULL_32 = 0xFFFFFFFF, UTF_8 = 0x800;
constexpr const char *TRUNCATED = "which is truncated or damaged", *DIRECTORY = "which is damaged in its directory";

// An unsigned number of n bytes, the lowest first. The caller knows that they are there.
uint64_t number(std::string_view bytes, uint64_t at, int n)
{
  uint64_t value = 0;
  for (int k = n - 1; k >= 0; k--) value = value << 8 | static_cast<unsigned char>(bytes[at + k]);
  return value;
}

bool starts(std::string_view bytes, uint64_t at, std::string_view with)
{
  return at <= bytes.size() && bytes.substr(at).starts_with(with);
}

bool ends(const std::string &text, std::string_view with)
{
  return text.ends_with(with);
}

// The names of files come from outside: a question mark for what is not printable ASCII.
std::string readable(std::string_view name)
{
  std::string text(name);
  for (char &letter : text)
    if (letter < 32 || letter > 126) letter = '?';
  return text;
}

// Where the central directory lies, and where the end records begin.
struct Directory {
  uint64_t start, size, n_entries, tail;
};

// An entry of the central directory: `common` must stand in the local header too, `constant` in all entries.
struct Entry {
  std::string name;
  std::string_view raw_name;
  uint64_t offset = 0, size = 0, crc = 0;
  bool stored = false;
  std::array<uint64_t, 8> common{};
  std::array<uint64_t, 5> constant{};
  std::string_view unused;
};

// A reader of one file, so that every refusal names it.
class Archive {
 public:
  Archive(std::string_view bytes, const std::string &name) : bytes_(bytes), name_(name) {}
  Records records() const;

 private:
  Directory end() const;
  Directory end_64(uint64_t below) const;
  std::vector<Entry> entries(const Directory &directory) const;
  Entry entry(uint64_t at, uint64_t room) const;
  void require_card(const std::vector<Entry> &entries) const;
  std::string_view record(const Entry &entry, uint64_t stop, uint64_t &end) const;
  [[noreturn]] void damaged(const Entry &entry) const
  {
    refuse_file(name_, "which is damaged in its part '" + entry.name + "'");
  }

  std::string_view bytes_;
  std::string name_;
};

// The numbers of a header, each that does not fit into it taken from its extra field; other fields are skipped.
void widen(std::string_view extra, std::initializer_list<uint64_t *> numbers)
{
  std::string_view wide;
  while (extra.size() >= 4) {
    const uint64_t kind = number(extra, 0, 2), length = number(extra, 2, 2);
    if (kind == 1) wide = extra.substr(4, length);
    extra = extra.substr(std::min<uint64_t>(4 + length, extra.size()));
  }
  for (uint64_t *value : numbers)
    if (*value == FULL_32 && wide.size() >= 8) {
      *value = number(wide, 0, 8);
      wide.remove_prefix(8);
    }
}

Directory Archive::end() const
{
  if (bytes_.size() < END_SIZE) refuse_file(name_, TRUNCATED);
  const uint64_t tail = bytes_.size() - END_SIZE;
  if (!starts(bytes_, tail, END_START)) refuse_file(name_, TRUNCATED);
  const uint64_t n = number(bytes_, tail + 10, 2), size = number(bytes_, tail + 12, 4), start = number(bytes_, tail + 16, 4);
  if (number(bytes_, tail + 4, 4) != 0 || number(bytes_, tail + 8, 2) != n || number(bytes_, tail + 20, 2) != 0)
    refuse_file(name_, DIRECTORY);
  const bool is_large = start + size != tail && starts(bytes_, std::max(tail, LOCATOR_SIZE) - LOCATOR_SIZE, LOCATOR_START);
  if (is_large || n == FULL_16 || size == FULL_32 || start == FULL_32) return end_64(tail);
  if (start > tail || size > tail - start) refuse_file(name_, TRUNCATED);
  return {start, size, n, tail};
}

// The end record of large archives stands before the other, with a pointer to it.
Directory Archive::end_64(uint64_t below) const
{
  if (below < LOCATOR_SIZE + END_64_SIZE) refuse_file(name_, TRUNCATED);
  const uint64_t locator = below - LOCATOR_SIZE, tail = locator - END_64_SIZE;
  if (!starts(bytes_, locator, LOCATOR_START) || !starts(bytes_, tail, END_64_START)) refuse_file(name_, TRUNCATED);
  const uint64_t n = number(bytes_, tail + 32, 8), size = number(bytes_, tail + 40, 8), start = number(bytes_, tail + 48, 8);
  if (number(bytes_, locator + 4, 4) != 0 || number(bytes_, locator + 8, 8) != tail || number(bytes_, locator + 16, 4) != 1 ||
      number(bytes_, tail + 4, 8) != END_64_SIZE - 12 || number(bytes_, tail + 16, 8) != 0 || number(bytes_, tail + 24, 8) != n)
    refuse_file(name_, DIRECTORY);
  if (start > tail || size > tail - start) refuse_file(name_, TRUNCATED);
  return {start, size, n, tail};
}

std::vector<Entry> Archive::entries(const Directory &directory) const
{
  std::vector<Entry> found;
  uint64_t at = directory.start;
  const uint64_t stop = directory.start + directory.size;
  while (at < stop) {
    found.push_back(entry(at, stop - at));
    at += ENTRY_SIZE + number(bytes_, at + 28, 2) + number(bytes_, at + 30, 2) + number(bytes_, at + 32, 2);
  }
  return found;
}

Entry Archive::entry(uint64_t at, uint64_t room) const
{
  if (room < ENTRY_SIZE || !starts(bytes_, at, ENTRY_START)) refuse_file(name_, DIRECTORY);
  const auto field = [&](int offset, int n) { return number(bytes_, at + offset, n); };
  const uint64_t name_length = field(28, 2), extra_length = field(30, 2), comment_length = field(32, 2);
  if (room - ENTRY_SIZE < name_length + extra_length + comment_length) refuse_file(name_, DIRECTORY);
  uint64_t packed = field(20, 4), unpacked = field(24, 4), offset = field(42, 4);
  const bool is_wide = packed == FULL_32 || unpacked == FULL_32 || offset == FULL_32;
  const std::string_view extra = bytes_.substr(at + ENTRY_SIZE + name_length, extra_length);
  widen(extra, {&unpacked, &packed, &offset});

  Entry entry;
  entry.raw_name = bytes_.substr(at + ENTRY_SIZE, name_length);
  entry.name = readable(entry.raw_name);
  entry.offset = offset;
  entry.size = unpacked;
  entry.crc = field(16, 4);
  entry.stored = field(10, 2) == 0 && packed == unpacked;
  entry.common = {field(6, 2), field(8, 2), field(10, 2), field(12, 2), field(14, 2), entry.crc, packed, unpacked};
  entry.constant = {field(4, 2), field(34, 2), field(36, 2), field(38, 4), comment_length};
  if (!is_wide) entry.unused = extra;
  return entry;
}

// The archive of another program, told by its names.
void Archive::require_card(const std::vector<Entry> &entries) const
{
  const auto has = [&](std::string_view with) {
    return std::any_of(entries.begin(), entries.end(), [&](const Entry &entry) { return ends(entry.name, with); });
  };
  if (has("/extra/rhopot.json")) return;
  const char *found = has("/constants.pkl") ? "a TorchScript model of another program"
      : has("/data.pkl")                    ? "which holds objects of torch.save"
                                            : "a zip archive of another program";
  refuse_file(name_, found, "export the model with rhopot.export.save_model");
}

// Content of a record whose local header agrees with the directory, and where it ends.
std::string_view Archive::record(const Entry &entry, uint64_t stop, uint64_t &end) const
{
  const uint64_t at = entry.offset;
  if (at > stop || stop - at < LOCAL_SIZE || !starts(bytes_, at, LOCAL_START)) damaged(entry);
  const auto field = [&](int offset, int n) { return number(bytes_, at + offset, n); };
  const uint64_t name_length = field(26, 2), extra_length = field(28, 2);
  if (stop - at - LOCAL_SIZE < name_length + extra_length) damaged(entry);
  uint64_t packed = field(18, 4), unpacked = field(22, 4);
  const bool is_wide = packed == FULL_32 && unpacked == FULL_32;
  const std::string_view extra = bytes_.substr(at + LOCAL_SIZE + name_length, extra_length);
  widen(extra, {&unpacked, &packed});
  const std::array<uint64_t, 8> common = {field(4, 2),  field(6, 2),  field(8, 2), field(10, 2),
                                          field(12, 2), field(14, 4), packed,      unpacked};
  if (bytes_.substr(at + LOCAL_SIZE, name_length) != entry.raw_name || common != entry.common) damaged(entry);
  if (!extra.empty() && !(is_wide && extra_length == 20 && number(extra, 0, 4) == 0x100001)) damaged(entry);
  if ((field(6, 2) & ~UTF_8) != 0 || entry.constant[1] != 0 || entry.constant[4] != 0) damaged(entry);
  if (!entry.stored) refuse_file(name_, "whose parts are compressed", "take the file as it was exported, or export it again");
  const uint64_t begin = at + LOCAL_SIZE + name_length + extra_length;
  if (stop - begin < entry.size) damaged(entry);
  end = begin + entry.size;
  return bytes_.substr(begin, entry.size);
}

Records Archive::records() const
{
  if (bytes_.empty()) refuse_file(name_, "which is empty");
  if (!bytes_.starts_with("PK")) refuse_file(name_, "which is not a TorchScript archive", "check the name");
  const Directory directory = end();
  const std::vector<Entry> found = entries(directory);
  require_card(found);
  if (found.size() != directory.n_entries || directory.start + directory.size != directory.tail) refuse_file(name_, DIRECTORY);
  for (const Entry &entry : found)
    if (entry.constant != found[0].constant || entry.unused != found[0].unused) refuse_file(name_, DIRECTORY);
  Records records;
  uint64_t place = 0;
  for (const Entry &entry : found) {
    if (entry.offset != place || records.count(entry.name)) refuse_file(name_, DIRECTORY);
    const std::string_view data = record(entry, directory.start, place);
    if (crc32(data) != entry.crc) damaged(entry);
    records[entry.name] = data;
  }
  if (place != directory.start) refuse_file(name_, DIRECTORY);
  return records;
}

std::string hexadecimal(uint32_t value)
{
  char text[9];
  std::snprintf(text, sizeof(text), "%08x", value);
  return text;
}

const Records::value_type *find_extra(const Records &records, const char *name)
{
  const std::string ending = std::string("/extra/") + name;
  for (const auto &record : records)
    if (ends(record.first, ending)) return &record;
  return nullptr;
}

}    // namespace

void refuse_file(const std::string &name, const std::string &found, const std::string &remedy)
{
  throw std::runtime_error("model file must be one exported by rhopot, got '" + name + "', " + found + "; " + remedy);
}

uint32_t crc32(std::string_view bytes)
{
  static const std::array<uint32_t, 256> table = [] {
    std::array<uint32_t, 256> values{};
    for (uint32_t k = 0; k < 256; k++) {
      uint32_t value = k;
      for (int bit = 0; bit < 8; bit++) value = value & 1 ? 0xEDB88320 ^ (value >> 1) : value >> 1;
      values[k] = value;
    }
    return values;
  }();
  uint32_t sum = 0xFFFFFFFF;
  for (const char byte : bytes) sum = table[(sum ^ static_cast<unsigned char>(byte)) & 0xFF] ^ (sum >> 8);
  return sum ^ 0xFFFFFFFF;
}

Records read_records(std::string_view bytes, const std::string &name)
{
  return Archive(bytes, name).records();
}

std::string_view card_of(const Records &records)
{
  return find_extra(records, "rhopot.json")->second;
}

void require_seal(const Records &records, const std::string &name)
{
  const auto *seal = find_extra(records, "rhopot.seal");
  if (!seal) return;
  std::vector<std::string> lines;
  for (const auto &[record, data] : records)
    if (record != seal->first) lines.push_back(record.substr(record.find('/') + 1) + " " + hexadecimal(crc32(data)) + "\n");
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const std::string &line : lines) text += line;
  if (seal->second != hexadecimal(crc32(text)))
    refuse_file(name, "which was changed after its export (its model and its rhopot.json belong to each other)");
}

}    // namespace rhopot
