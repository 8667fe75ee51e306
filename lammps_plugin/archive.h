// The archive of a model file: a zip file of stored records, whose every byte is checked before any is used. Here are the rules
// of export/archive.py in C++, with the same sentences; its text says what they are.

#ifndef RHOPOT_ARCHIVE_H
#define RHOPOT_ARCHIVE_H

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace rhopot {

// Name -> content, which lies in the bytes of the file.
using Records = std::map<std::string, std::string_view>;

// All records of a file. Throws std::runtime_error with one sentence about file `name` when it is damaged, compressed, or no
// archive of rhopot.
Records read_records(std::string_view bytes, const std::string &name);

// Text of the record extra/rhopot.json.
std::string_view card_of(const Records &records);

// Throws std::runtime_error when records were changed after the export, each of them intact.
void require_seal(const Records &records, const std::string &name);

// What zip files and Python's zlib call crc32.
uint32_t crc32(std::string_view bytes);

// Throws: "model file must be one exported by rhopot, got 'NAME', FOUND; REMEDY".
[[noreturn]] void refuse_file(const std::string &name, const std::string &found,
                              const std::string &remedy = "copy or export it again");

}    // namespace rhopot

#endif
