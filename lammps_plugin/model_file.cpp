#include "model_file.h"

#include <stdexcept>
#include <utility>

#include "archive.h"
#include "card_rules.h"

namespace rhopot {
namespace {

using LAMMPS_NS::json;

constexpr int64_t FORMAT_VERSION = 1;
constexpr double UNSTATED_STRETCH = 1.1;    // of files that were written before the card stated it

// Newer formats are refused by number, before anything else in the card is looked at.
void check_format_version(const json &card, const std::string &name)
{
  const bool stated = card.is_object() && card.contains("format_version");
  if (!stated) refuse_file(name, "whose rhopot.json states no format_version");
  const json &version = card.at("format_version");
  if (version.is_number_integer() && version > FORMAT_VERSION)
    throw std::runtime_error("format_version of '" + name + "' must be at most " + std::to_string(FORMAT_VERSION) +
                             " for this rhopot, got " + version.dump() + "; install a newer rhopot");
}

void check_fields(const json &card, const std::string &name)
{
  std::string faults;
  for (const std::string &fault : card_faults(card)) faults += (faults.empty() ? "" : "; ") + fault;
  if (!faults.empty()) refuse_file(name, "whose rhopot.json is wrong (" + faults + ")");
}

// Files of collective variables are archives of the same kind.
void refuse_collective_variable(const json &card, const std::string &name)
{
  if (card.value("kind", json()) == "cv")
    refuse_file(name, "which holds a collective variable", "give it to fix rhopot/metad, and a model to pair_coeff");
}

ModelHeader parse_header(std::string_view text, const std::string &name)
{
  const json card = json::parse(text, nullptr, /*allow_exceptions=*/false);
  check_format_version(card, name);
  refuse_collective_variable(card, name);
  check_fields(card, name);
  ModelHeader header;
  header.family = card.at("family").get<std::string>();
  header.kind = card.at("kind").get<std::string>();
  header.dtype = card.at("dtype").get<std::string>();
  header.symbols = card.at("symbols").get<std::vector<std::string>>();
  header.cutoff = card.at("cutoff").get<double>();
  header.n_layers = card.at("n_layers").get<int>();
  header.members = card.at("uncertainty").at("members").get<int>();
  const json factors = card.at("uncertainty").value("force_factors", json::object());
  for (const std::string &symbol : header.symbols)
    header.force_factors.push_back(factors.value(symbol, 1.0));    // 1, not calibrated, in files without any
  const json radii = card.at("uncertainty").value("force_radii", json::object());
  for (const std::string &symbol : header.symbols)
    if (!radii.empty())
      header.force_radii.push_back({radii.at(symbol).at("multiple").get<double>(), radii.at(symbol).at("floor").get<double>()});
  header.extrapolation = card.at("uncertainty").value("extrapolation", false);
  header.operators = card.at("versions").at("operators").get<std::vector<std::string>>();
  const json stretch = card.value("stretch", json());
  header.stretch = stretch.is_null() ? UNSTATED_STRETCH : stretch.get<double>();
  header.written_by = card.at("versions").at("rhopot").get<std::string>();
  return header;
}

}    // namespace

ModelFile read_model_file(std::string bytes, const std::string &name)
{
  const Records records = read_records(bytes, name);
  ModelHeader header = parse_header(card_of(records), name);
  require_seal(records, name);
  return {name, std::move(bytes), std::move(header)};
}

}    // namespace rhopot
