// SPDX-License-Identifier: Apache-2.0
// A log in the store: a JSON text a line behind its digest, only ever appended to.
#pragma once
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "framework/store/store.h"

namespace retain::framework {

/// The texts of all whole lines, oldest first; none where there is no file. A torn last line, also one with a hole that a
/// loss of power left, is left out; lines whose digest
/// differs are left out and counted in `damaged` when given. Throws Error(io).
std::vector<std::string> read_line_log(const std::filesystem::path& file, std::size_t* damaged = nullptr);

/// Appends a line durably behind the last whole line: what a stop tore off is overwritten. The caller holds the store's lock, and a
/// StoreTurn where others may write the same log. Throws Error(io).
void append_to_line_log(const Store& store, const std::filesystem::path& file, const std::string& text);

/// Makes the lines durable that a process wrote which was stopped before it did so.
void sync_line_log(const Store& store, const std::filesystem::path& file);

}  // namespace retain::framework
