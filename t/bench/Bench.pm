package Bench;

# What the benchmarks have in common that use the harness of the tests.
#
#   use Bench;          before Test::Idpay, which it tells the binaries:
#                       BENCH_NGINX and BENCH_MODULE, as for run.pl
#   head($title, @lines)              a title, and what was measured how
#   table(\@names, [@values], ...)    a table in Markdown
#   machine()                         date, nginx, processor
#   percent($share)

use strict;
use warnings;

use Exporter qw(import);
use POSIX    qw(strftime);

our @EXPORT = qw(head machine percent table);

BEGIN {
    my %name = (
        TEST_NGINX_BINARY => 'BENCH_NGINX',
        IDPAY_MODULE      => 'BENCH_MODULE',
    );
    for (keys %name) {
        $ENV{$_} = $ENV{ $name{$_} } if defined $ENV{ $name{$_} };
    }
    $| = 1;
}


sub head {
    my ($title, @lines) = @_;

    print "\n# $title\n\n", map {"$_\n"} @lines;
    return;
}


sub table {
    my ($names, @rows) = @_;

    print "\n", map { '| ' . join(' | ', @$_) . " |\n" } $names,
        [ ('---') x @$names ], @rows;
    return;
}


sub machine {
    my $binary = Test::Idpay->binary;
    my ($version) = qx{$binary -v 2>&1} =~ m{(nginx/\S+)};

    open my $fh, '<', '/proc/cpuinfo' or die "/proc/cpuinfo: $!";
    my ($model) = map {/^model name\s*:\s*(.+)$/} <$fh>;

    return join ', ', strftime('%Y-%m-%d', gmtime), $version,
        $model // 'unknown CPU';
}


sub percent { return sprintf '%.1f %%', 100 * shift }


1;
