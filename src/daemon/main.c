/* main: placeholder until the loop is in. */
int main(void)
{
    return 0;
}
