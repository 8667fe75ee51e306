// A file of kind `cv` before torch sees it: every byte of the archive checked, rhopot.json read and judged.

#include <cmath>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "../archive.h"
#include "collective_variable.h"
#include "json.h"    // nlohmann's, as LAMMPS carries it

namespace rhopot {
namespace {

using LAMMPS_NS::json;

constexpr int64_t FORMAT_VERSION = 1;

[[noreturn]] void refuse_card(const std::string &name, const std::string &reason)
{
  throw std::runtime_error("collective variable '" + name + "' " + reason + "; write it again with rhopot cv");
}

std::string_view record(const Records &records, const std::string &ending)
{
  for (const auto &[name, content] : records)
    if (name.ends_with(ending)) return content;
  return {};
}

CvHeader header_of(const json &card, const std::string &name)
{
  CvHeader header;
  try {
    header.names = card.at("names").get<std::vector<std::string>>();
    header.units = card.at("units").get<std::vector<std::string>>();
    for (const json &period : card.at("periods")) header.periods.push_back(period.is_null() ? 0.0 : period.get<double>());
    header.symbols = card.at("symbols").get<std::vector<std::string>>();
    header.cutoff = card.at("cutoff").get<double>();
    header.n_sums = card.at("n_sums").get<int>();
    header.atoms = card.at("atoms").get<std::vector<int64_t>>();
    header.lists = card.contains("lists") ? card.at("lists").get<std::vector<size_t>>() : std::vector{header.atoms.size()};
    header.operators = card.at("versions").at("operators").get<std::vector<std::string>>();
    header.written_by = card.at("versions").at("rhopot").get<std::string>();
  } catch (const json::exception &) {
    refuse_card(name, "has a rhopot.json that lacks fields or holds wrong ones");
  }
  const size_t n = header.names.size();
  if (n < 1 || n > 3 || header.units.size() != n || header.periods.size() != n)
    refuse_card(name, "must hold one to three variables, each with its unit and period");
  if (!std::isfinite(header.cutoff) || header.cutoff < 0.0 || (header.cutoff > 0.0) != !header.symbols.empty() ||
      (header.cutoff > 0.0) != (header.n_sums > 0))
    refuse_card(name, "must have a cutoff, symbols and sums, or none of them");
  if (std::accumulate(header.lists.begin(), header.lists.end(), size_t{0}) != header.atoms.size())
    refuse_card(name, "must say of each atom in which list it is");
  if (header.cutoff == 0.0 && header.atoms.empty()) refuse_card(name, "must read edges or positions of atoms");
  return header;
}

}    // namespace

CvFile read_cv_file(std::string bytes, const std::string &name)
{
  const Records records = read_records(bytes, name);
  const json card = json::parse(card_of(records), nullptr, /*allow_exceptions=*/false);
  if (!card.is_object() || card.value("kind", json()) != "cv")
    refuse_file(name, "which holds no collective variable", "write one with rhopot cv; models go into pair_coeff");
  const json version = card.value("format_version", json());
  if (!version.is_number_integer()) refuse_card(name, "states no format_version");
  if (version > FORMAT_VERSION)
    throw std::runtime_error("format_version of '" + name + "' must be at most " + std::to_string(FORMAT_VERSION) +
                             " for this rhopot, got " + version.dump() + "; install a newer rhopot");
  require_seal(records, name);
  CvHeader header = header_of(card, name);
  header.identity = record(records, "/extra/rhopot.seal");
  return {name, std::move(bytes), std::move(header)};
}

}    // namespace rhopot
