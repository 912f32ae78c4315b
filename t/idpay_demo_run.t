#!/usr/bin/env perl

# The demonstration: what it shows, what it does not show, how it ends, and
# that nothing of it is left.

use strict;
use warnings;

use Cwd            qw(abs_path);
use File::Basename qw(dirname);
use File::Temp     qw(tempdir);
use POSIX          ();
use Test::More;

my $t   = abs_path(dirname(__FILE__));
my $dir = tempdir('idpay-demo-XXXXXX', TMPDIR => 1, CLEANUP => 1);

my @providers = qw(plusid passportreader plasmapay plaid gopay generic);

# A secret of the demonstration is 32 hexadecimal digits.
my $secret = qr/(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])/;


# Runs the demonstration; calls code for each line. Returns its wait status,
# all it said, and whether a process of it is left: each inherits the end of a
# pipe that nobody writes to, so the pipe ends with the last of them.
sub demo {
    my ($line_code, %env) = @_;

    local $^F = 1_000;
    pipe my $left, my $held or die "pipe: $!";
    local $^F = 2;
    pipe my $out, my $write or die "pipe: $!";

    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        $ENV{$_} = $env{$_} for keys %env;
        open STDOUT, '>&', $write and open STDERR, '>&', $write
            and exec $^X, "-I$t/lib", "$t/demo/demo.pl";
        POSIX::_exit(127);
    }
    close $held;
    close $write;

    my $text = '';
    while (defined(my $line = <$out>)) {
        $text .= $line;
        $line_code->($pid, $line);
    }
    waitpid $pid, 0;
    my $status = $?;

    my $bits = '';
    vec($bits, fileno $left, 1) = 1;
    my $ended = select($bits, undef, undef, 10) && !sysread $left, my $byte, 1;

    return ($status, $text, !$ended);
}


my ($status, $text, $left) = demo(sub { }, TMPDIR => $dir, KEEP => '');

is $status, 0, 'ends by itself, without an error';
ok !$left, 'leaves no process';
is_deeply [ glob "$dir/idpay-test-*" ], [], 'leaves no file';
for (@providers) {
    like $text, qr/^== $_ =+\n/m, "shows $_";
}
my @worked = $text =~ m{^  HTTP/1\.1 200 OK$}mg;
is scalar @worked, @providers, 'each call worked';
unlike $text, $secret, 'shows no secret';
unlike $text, qr/\S{60}.*[*]/, 'nor a long value before a mask';
like $text, qr/\| $_: \*{8}$/m, "masks $_"
    for qw(X-API-Key PLAID-CLIENT-ID PLAID-SECRET X-Service-Token);
like $text, qr/\| Authorization: $_ \*{8}$/m, "masks $_" for qw(Basic Bearer);
is_deeply [ grep { length > 100 } split /\n/, $text ], [], '100 columns';


# A gateway that expects another name finds that Plaid's certificate is wrong.
my $nginx = $ENV{TEST_NGINX_BINARY} || do {
    my ($found) = grep {-x} map {"$_/nginx"} split(/:/, $ENV{PATH}),
        '/usr/sbin';
    $found;
};
my $wrapper = "$dir/nginx";
open my $fh, '>', $wrapper or die "$wrapper: $!";
print $fh <<"SH";
#!/bin/sh
if [ "\$1" = -p ]; then
    sed -i 's/idpay_host *plaid.test/idpay_host other.test/' "\$2/nginx.conf"
fi
exec $nginx "\$@"
SH
close $fh or die "$wrapper: $!";
chmod 0755, $wrapper;

($status, $text, $left) = demo(sub { }, TMPDIR => $dir,
    TEST_NGINX_BINARY => $wrapper, KEEP => '');

is $status >> 8, 1, 'a call that does not work is an error';
like $text, qr/^1 of 6 calls did not work$/m, 'it is told';
like $text, qr/^  HTTP\/1\.1 502 /m, 'the answer is shown';
like $text, qr/\| \(nothing\)$/m, 'and that the provider received nothing';
ok !$left, 'leaves no process then';


my ($command, $example, $part) = '';
($status, $text, $left) = demo(
    sub {
        my ($pid, $line) = @_;

        $part = $line =~ /curl .*plaid/ || $part && $line =~ /^       -/;
        $command .= $line if $part;

        if ($line =~ /^Ctrl-C/) {
            $example = qx{$command};
            kill INT => $pid;
        }
    },
    TMPDIR => $dir,
    KEEP   => 1
);

is $status, 0, 'KEEP=1 ends with Ctrl-C';
like $text, qr{^gateway: http://127\.0\.0\.1:\d+$}m, 'tells the address';
like $text, qr{^$_: +https://127\.0\.0\.1:\d+ }m, "and that of $_"
    for @providers;
like $example, qr{^HTTP/1\.1 200 .*"request_id"}s, 'a printed example works';
unlike $text, $secret, 'shows no secret then';
is_deeply [ grep { length > 100 } split /\n/, $text ], [], '100 columns then';
ok !$left, 'leaves no process then';

done_testing;
