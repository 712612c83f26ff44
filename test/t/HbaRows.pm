# HbaRows.pm
#
# Reads test/hba/rows.txt (which explains itself) and the recorded answers.

package HbaRows;

use strict;
use warnings;

use Exporter 'import';
use Text::ParseWords qw(shellwords);

our @EXPORT_OK = qw(read_answers read_sets row_name);

# The sets in their order: { name, options, files => [name, text]..., hba,
# rows => [ { from, role, database, ... } ] }
sub read_sets
{
	my ($path) = @_;
	my (@sets, $target);

	open(my $in, '<', $path) or die "cannot open $path: $!";
	while (my $line = <$in>)
	{
		if ($line =~ s/^\t//)
		{
			die "$path:$.: nothing to add to" unless defined $target;
			$target->($line);
			next;
		}
		next if $line =~ /^\s*(#.*)?$/;

		my ($word, @rest) = shellwords($line);
		if ($word eq 'set')
		{
			my $name = shift @rest;
			push @sets,
			  {
				name => $name,
				options => { map { /^(\w+)=(.*)/ ? ($1, $2) : ($_, 1) } @rest },
				files => {},
				hba => '',
				rows => [] };
			$target = undef;
			next;
		}

		my $set = $sets[-1] or die "$path:$.: no set yet";
		my $name = $rest[0];
		$target =
		    $word eq 'hba' ? sub { $set->{hba} .= $_[0] }
		  : $word eq 'file' ? sub { $set->{files}{$name} .= $_[0] }
		  : $word eq 'rows' ? sub { push @{ $set->{rows} }, parse_row($_[0]) }
		  : die "$path:$.: what is \"$word\"?";
	}
	close $in;
	return @sets;
}

sub parse_row
{
	my ($from, $role, $database, @more) = shellwords($_[0]);
	my %row = (from => $from, role => $role, database => $database);

	for (@more)
	{
		my ($key, $value) = /^(\w+)=(.*)$/ or die "what is \"$_\"?";
		$row{$key} = $value;
	}
	return \%row;
}

# What a row is called in the answers and in the tests' output: unique, and
# the same as long as the row is.
sub row_name
{
	my ($set, $row) = @_;

	return join(' ',
		$set->{name},
		map { "$_=" . quote($row->{$_}) }
		  grep { defined $row->{$_} }
		  qw(from role database replication password),
		sort grep { !/^(from|role|database|replication|password)$/ } keys %$row);
}

sub quote
{
	my ($value) = @_;
	return $value =~ /^[^\s"'=>]+$/ ? $value : "\"$value\"";
}

# "row => answer" lines as a hash
sub read_answers
{
	my ($path) = @_;
	my %answers;

	open(my $in, '<', $path) or die "cannot open $path: $!";
	while (<$in>)
	{
		chomp;
		next if /^\s*(#.*)?$/;
		my ($row, $answer) = /^(.*?) => (.*)$/ or die "$path:$.: not an answer";
		die "$path:$.: answered twice" if exists $answers{$row};
		$answers{$row} = $answer;
	}
	close $in;
	return %answers;
}

1;
