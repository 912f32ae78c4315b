package Test::Idpay::Process;

# A child process in a group of its own, stopped by pid.
#
#   my $p = Test::Idpay::Process->start(
#       command => [...], output => $path,   stdout and stderr, appended
#       stdout  => 1, stdin => 1);           pipes to us instead
#   $p->pid  $p->alive  $p->status  $p->stdin  $p->stdout
#   $p->line($seconds)          a line of its stdout, undef at the deadline
#   $p->stop($signal, $seconds) true when it ended by that signal in time;
#                               else the whole group is killed
#   wait_until($seconds, $code) calls code until it returns true; its value

use strict;
use warnings;

use Errno    ();
use Exporter qw(import);
use IO::Handle;
use IO::Select;
use POSIX       qw(:sys_wait_h _exit setpgid);
use Time::HiRes qw(sleep time);

our @EXPORT_OK = qw(wait_until);

use constant POLL => 0.01;

# Instrumented binaries are slow; all deadlines grow with this.
my $factor = $ENV{TEST_NGINX_SLOW} || 1;


sub wait_until {
    my ($seconds, $code) = @_;

    my $deadline = time + $seconds * $factor;
    while (1) {
        my $value = $code->();
        return $value if $value;
        return        if time >= $deadline;
        sleep POLL;
    }
}


sub start {
    my ($class, %how) = @_;

    my ($in_read, $in_write, $out_read, $out_write);
    pipe $in_read, $in_write   or die "pipe: $!" if $how{stdin};
    pipe $out_read, $out_write or die "pipe: $!" if $how{stdout};

    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        eval {
            setpgid(0, 0);
            open STDIN,  '<',  '/dev/null'  or die "stdin: $!";
            open STDERR, '>>', $how{output} or die "$how{output}: $!";
            open STDOUT, '>&', \*STDERR     or die "stdout: $!";
            if ($how{stdin}) {
                open STDIN, '<&', $in_read or die "stdin: $!";
            }
            if ($how{stdout}) {
                open STDOUT, '>&', $out_write or die "stdout: $!";
            }
            no warnings 'exec';
            exec { $how{command}[0] } @{ $how{command} };
            die "cannot run $how{command}[0]: $!\n";
        };
        print STDERR $@;
        _exit(127);
    }
    setpgid($pid, $pid);
    $in_write->autoflush(1) if $in_write;

    return bless {
        pid    => $pid,
        stdin  => $in_write,
        stdout => $out_read,
        owner  => $$,
    }, $class;
}


sub pid    { $_[0]{pid} }
sub stdin  { $_[0]{stdin} }
sub stdout { $_[0]{stdout} }


# The wait status once it has ended.
sub status {
    my $self = shift;

    if (!defined $self->{status}) {
        my $pid = waitpid $self->{pid}, WNOHANG;
        $self->{status} = $pid == $self->{pid} ? $? : -1 if $pid != 0;
    }
    return $self->{status};
}


sub alive { return !defined $_[0]->status }


sub line {
    my ($self, $seconds) = @_;

    my $out      = $self->stdout;
    my $deadline = time + $seconds * $factor;
    my $line     = '';

    while ($line !~ /\n/) {
        my $left = $deadline - time;
        return if $left <= 0;

        # a signal is no end
        $! = 0;
        IO::Select->new($out)->can_read($left)
            && sysread $out, $line, 65_536, length $line
            or $!{EINTR}
            or return;
    }
    return $line;
}


sub stop {
    my ($self, $signal, $seconds) = @_;

    return 1 if $self->{owner} != $$;
    return 1 if !$self->alive;

    local ($?, $!);

    kill $signal, $self->{pid};
    return 1 if wait_until($seconds, sub { !$self->alive });

    kill KILL => -$self->{pid};
    wait_until($seconds, sub { !$self->alive });
    return 0;
}


1;
